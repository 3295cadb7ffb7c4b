import type { TestDatabase } from './postgres.ts';

const OURS = `(select oid from pg_catalog.pg_namespace where nspname ~ '^(pgq|pgq_.*|londiste|walmgr|skytools)$')`;

const GRANTS = (acl: string) =>
  `(select string_agg(format('%s:%s%s', coalesce(a.grantee::regrole::text, '-'), a.privilege_type,
                             case when a.is_grantable then '*' end), ' ' order by a.grantee::regrole::text, a.privilege_type)
      from aclexplode(${acl}) a)`;

/** What schemas consist of, one line for each thing; the order of columns does not count. */
const QUERY = `
select concat_ws(' ', 'schema', n.nspname, ${GRANTS('n.nspacl')}) as line
  from pg_namespace n where n.oid in ${OURS}
union all
select concat_ws(' ', 'relation', c.oid::regclass, c.relkind, c.relpersistence, c.reloptions, ${GRANTS('c.relacl')})
  from pg_class c where c.relnamespace in ${OURS} and c.relkind <> 'i'
union all
select concat_ws(' ', 'column', c.oid::regclass, a.attname,
                 format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attstorage,
                 pg_get_expr(d.adbin, d.adrelid), ${GRANTS('a.attacl')})
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
 where c.relnamespace in ${OURS} and c.relkind in ('r', 'v', 'm', 'p', 'c')
union all
select concat_ws(' ', 'constraint', c.conrelid::regclass, c.conname, c.convalidated, pg_get_constraintdef(c.oid))
  from pg_constraint c where c.connamespace in ${OURS}
union all
select concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid), i.indisvalid)
  from pg_index i join pg_class c on c.oid = i.indrelid where c.relnamespace in ${OURS}
union all
select concat_ws(' ', 'view', c.oid::regclass, pg_get_viewdef(c.oid)) from pg_class c where c.relnamespace in ${OURS} and c.relkind = 'v'
union all
select concat_ws(' ', 'function', p.oid::regprocedure, ${GRANTS('p.proacl')}, pg_get_functiondef(p.oid))
  from pg_proc p where p.pronamespace in ${OURS} and p.prokind in ('f', 'p')
union all
select concat_ws(' ', 'trigger', t.tgenabled, pg_get_triggerdef(t.oid))
  from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace in ${OURS} and not t.tgisinternal
union all
select concat_ws(' ', 'type', t.oid::regtype, t.typtype, ${GRANTS('t.typacl')})
  from pg_type t where t.typnamespace in ${OURS} and t.typtype in ('e', 'd', 'r')
order by 1`;

/** Everything that an installation consists of, as lines that can be compared. */
export const catalogue = async (database: TestDatabase): Promise<string[]> =>
  (await database.query<{ line: string }>(QUERY)).map(({ line }) => line);

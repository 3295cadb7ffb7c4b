import type pg from 'pg';
import { quoteQualified } from '../../postgres/quote.ts';

/** The statements that make a table: columns, constraints, indexes, triggers, rules, rights, owner. Undefined if unknown. */
export async function tableDdl(client: pg.Client, name: string): Promise<string | undefined> {
  const { rows } = await client.query<{ oid: number; table: string; owner: string }>(
    `select c.oid, c.oid::regclass::text as "table", pg_get_userbyid(c.relowner)::text as owner
       from pg_class c where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'f')`,
    [quoteQualified(name)],
  );
  const found = rows[0];
  if (!found) return undefined;
  const columns = await client.query<{ line: string }>(
    `select format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
            || case when a.attidentity <> '' then format(' generated %s as identity',
                 case a.attidentity when 'a' then 'always' else 'by default' end)
                    when a.attgenerated <> '' then format(' generated always as (%s) stored', pg_get_expr(d.adbin, d.adrelid))
                    when d.adbin is not null then ' default ' || pg_get_expr(d.adbin, d.adrelid) else '' end
            || case when a.attnotnull then ' not null' else '' end as line
       from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [found.oid],
  );
  const rest = await client.query<{ line: string }>(
    `select line from (
       select 1 as part, conname::text as name,
              format('alter table only %s add constraint %I %s', $2::text, conname, pg_get_constraintdef(oid)) as line
         from pg_constraint where conrelid = $1 and contype <> 'n'
       union all
       select 2, i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
         from pg_index i
        where i.indrelid = $1 and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
       union all
       select 3, tgname::text, pg_get_triggerdef(oid) from pg_trigger where tgrelid = $1 and not tgisinternal
       union all
       select 4, rulename::text, rtrim(pg_get_ruledef(oid), ';') from pg_rewrite
        where ev_class = $1 and rulename <> '_RETURN'
       union all
       select 5, g.grantee::text, format('grant %s on %s to %s', string_agg(lower(g.privilege_type), ', '), $2::text,
                coalesce(quote_ident(nullif(pg_get_userbyid(g.grantee)::text, '')), 'public'))
         from pg_class c, aclexplode(c.relacl) g where c.oid = $1 and g.grantee <> c.relowner group by g.grantee
       union all
       select 6, '', format('alter table %s owner to %I', $2::text, $3::text)) parts
      order by part, name`,
    [found.oid, found.table, found.owner],
  );
  const create = `create table ${found.table} (\n    ${columns.rows.map((row) => row.line).join(',\n    ')}\n)`;
  return [create, ...rest.rows.map((row) => row.line)].map((line) => `${line};`).join('\n');
}

/** The statements that make a sequence. Undefined if unknown. */
export async function sequenceDdl(client: pg.Client, name: string): Promise<string | undefined> {
  const { rows } = await client.query<{ line: string }>(
    `select format(E'create sequence %s as %s\\n    increment by %s minvalue %s maxvalue %s start with %s cache %s%s;\\nalter sequence %s owner to %I;',
              c.oid::regclass, format_type(s.seqtypid, null), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
              case when s.seqcycle then ' cycle' else '' end, c.oid::regclass, pg_get_userbyid(c.relowner)) as line
       from pg_class c join pg_sequence s on s.seqrelid = c.oid
      where c.oid = to_regclass($1)`,
    [quoteQualified(name)],
  );
  return rows[0]?.line;
}

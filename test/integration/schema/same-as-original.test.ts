import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { install } from '../../../lib/schema/install.ts';
import { ClassicPgq, missingClassicParts } from '../../support/classic-pgq.ts';

const missing = missingClassicParts();
if (missing.length > 0)
  console.error(`LEFT OUT: comparison with the original's pgq_node and londiste: ${missing.join(', ')}`);

/** Functions with their arguments, defaults and results. */
const FUNCTIONS = `
  select p.oid::regprocedure::text || ' ' || pg_get_function_arguments(p.oid) || ' -> ' || pg_get_function_result(p.oid) as line
    from pg_proc p where p.pronamespace in ('pgq_node'::regnamespace, 'londiste'::regnamespace) and p.prokind = 'f' order by 1`;

const COLUMNS = `
  select a.attrelid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
         || case when a.attnotnull then ' not null' else '' end || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as line
    from pg_attribute a join pg_class c on c.oid = a.attrelid and c.relkind = 'r'
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
   where c.relnamespace in ('pgq_node'::regnamespace, 'londiste'::regnamespace) and a.attnum > 0 and not a.attisdropped
   order by c.relname, a.attnum`;

/** A condition may be written in several ways. */
const CONSTRAINTS = `
  select k.conrelid::regclass || ' ' || k.conname || ' '
         || case k.contype when 'c' then 'check' else pg_get_constraintdef(k.oid) end as line
    from pg_constraint k where k.connamespace in ('pgq_node'::regnamespace, 'londiste'::regnamespace)
     and k.contype <> 'n' order by 1`;

/** Which role may do what. */
const GRANTS = `
  select o.object || ' ' || o.privilege || ' ' || r.rolname as line
    from (select p.oid::regprocedure::text as object, x.privilege_type as privilege, x.grantee
            from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
           where p.pronamespace in ('pgq_node'::regnamespace, 'londiste'::regnamespace)
          union all
          select c.oid::regclass::text, x.privilege_type, x.grantee from pg_class c, aclexplode(c.relacl) x
           where c.relnamespace in ('pgq_node'::regnamespace, 'londiste'::regnamespace) and c.relkind = 'r') o
    cross join lateral (select rolname from pg_roles where oid = o.grantee
                        union all select 'public' where o.grantee = 0) r
   where r.rolname <> 'postgres' order by 1`;

/** A life of nodes, tables and sequences, as administrators and workers of a cascade call it. */
const LIFE: readonly string[] = [
  'create table t (id serial primary key, v text); create table u (id int primary key, t int references t); create table nokey (v text); create table "Odd name" (id int primary key); create sequence s; create table v (id int primary key)',
  ...['t', 'u'].map((name) => `select * from londiste.local_add_table('nowhere', '${name}')`),
  `select * from pgq_node.register_location('q', 'n1', 'dbname=a', false)`,
  `select * from pgq_node.register_location('q', 'n2', 'dbname=b', false)`,
  `select * from pgq_node.register_location('q', 'n3', null, false)`,
  `select * from pgq_node.create_node('q', 'root', 'n1', 'w1', null, 5, null)`,
  `select * from pgq_node.create_node('q', 'branch', 'n1', 'w1', null, null, null)`,
  `select * from pgq_node.create_node('q', 'branch', 'n1', 'w1', 'n2', null, null)`,
  `select * from pgq_node.create_node('q', 'leaf', 'n1', 'w1', 'n2', 1, 'none')`,
  `select * from pgq_node.create_node('q', 'twig', 'n1', 'w1', null, null, null)`,
  `select * from pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null)`,
  `select * from pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null)`,
  `select * from pgq_node.get_node_info('q')`,
  `select * from pgq_node.get_node_info('x')`,
  `select * from pgq_node.get_worker_state('q')`,
  `select * from pgq_node.get_consumer_state('q', 'w1')`,
  `select * from pgq_node.get_consumer_state('q', 'w9')`,
  `select * from pgq_node.get_consumer_state('x', 'w9')`,
  `select pgq_node.is_root_node('q'), pgq_node.is_leaf_node('q')`,
  `select pgq_node.is_root_node('x')`,
  `select pgq_node.is_leaf_node('x')`,
  `select * from pgq_node.register_subscriber('q', 'n2', 'w2', null)`,
  `select * from pgq_node.register_subscriber('x', 'n2', 'w2', null)`,
  `select * from pgq_node.get_subscriber_info('q')`,
  `select * from pgq_node.set_subscriber_watermark('q', 'n2', 1)`,
  `select * from pgq_node.set_subscriber_watermark('q', 'n9', 1)`,
  `select * from pgq_node.set_subscriber_watermark('q', 'n2', 0)`,
  `select * from pgq_node.set_global_watermark('q', 1)`,
  `select * from pgq_node.set_global_watermark('x', 1)`,
  `select * from pgq_node.set_node_attrs('q', 'a=b')`,
  `select * from pgq_node.set_node_attrs('x', 'a=b')`,
  `select * from pgq_node.unregister_location('q', 'n1')`,
  `select * from pgq_node.unregister_location('q', 'n9')`,
  `select * from pgq_node.register_consumer('q', 'c1', 'n1', 1)`,
  `select * from pgq_node.register_consumer('q', 'c1', 'n2', 1)`,
  `select * from pgq_node.register_consumer('x', 'c1', 'n1', 1)`,
  `select * from pgq_node.set_consumer_uptodate('q', 'c1', true)`,
  `select * from pgq_node.set_consumer_uptodate('q', 'c9', true)`,
  `select * from pgq_node.set_consumer_paused('q', 'c1', true)`,
  `select * from pgq_node.set_consumer_paused('q', 'c1', true)`,
  `select * from pgq_node.set_consumer_paused('q', 'c1', false)`,
  `select * from pgq_node.set_consumer_paused('q', 'c9', true)`,
  `select * from pgq_node.set_consumer_completed('q', 'c1', 1)`,
  `select * from pgq_node.set_consumer_completed('q', 'c9', 1)`,
  `select * from pgq_node.set_consumer_error('q', 'c1', 'oops')`,
  `select * from pgq_node.set_consumer_error('q', 'c9', 'oops')`,
  `select * from pgq_node.change_consumer_provider('q', 'c1', 'n2')`,
  `select * from pgq_node.change_consumer_provider('q', 'c1', 'n9')`,
  `select * from pgq_node.change_consumer_provider('q', 'c9', 'n1')`,
  `select * from pgq_node.get_consumer_info('q')`,
  `select * from pgq_node.unregister_consumer('q', 'c1')`,
  `select * from pgq_node.unregister_consumer('x', 'c1')`,
  `select * from pgq_node.maint_watermark('q')`,
  `select * from pgq_node.set_partition_watermark('q', 'p', 1)`,
  `select * from londiste.local_show_missing('q') where obj_kind = 'r'`,
  ...['t', 'public.u', 'nokey', 'nothere', '"Odd name"', 'Odd name'].map(
    (name) => `select * from londiste.local_add_table('q', '${name}')`,
  ),
  `select * from londiste.local_add_table('q', 't')`,
  `select * from londiste.local_add_table('q', 't', '{}', 'handler=x')`,
  `select * from londiste.local_add_table('q', 'v', '{no_triggers,merge_all,no_merge}')`,
  `select * from londiste.local_add_table('q', 'v', '{no_triggers}', 'handler=vtable', null)`,
  `select * from londiste.get_table_list('q')`,
  `select tgrelid::regclass, tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal and tgname like '%londiste%' order by 1, 2`,
  `select * from londiste.local_set_table_attrs('q', 'public.t', 'a=b')`,
  `select * from londiste.local_set_table_attrs('q', 't', 'a=b')`,
  `select * from londiste.local_set_table_state('q', 'public.t', '1:1:', 'ok')`,
  `select * from londiste.local_set_table_state('q', 'public.x', null, 'ok')`,
  `select * from londiste.local_set_table_struct('q', 'public.x', 'select 1')`,
  `select * from londiste.local_change_handler('q', 'public.t', '{}', 'handler=y')`,
  `select * from londiste.local_change_handler('q', 'public.x', '{}', null)`,
  `select * from londiste.local_change_handler('x', 'public.t', '{}', null)`,
  `select * from londiste.find_table_fkeys('t')`,
  `select londiste.drop_table_fkey('public.u', 'u_t_fkey')`,
  `select londiste.drop_table_fkey('public.u', 'u_t_fkey')`,
  `select * from londiste.get_table_pending_fkeys('public.t')`,
  `select * from londiste.get_valid_pending_fkeys('q')`,
  `select londiste.restore_table_fkey('public.u', 'nope')`,
  `select londiste.restore_table_fkey('public.u', 'u_t_fkey', true)`,
  `select londiste.restore_table_fkey('public.u', 'u_t_fkey')`,
  `select * from londiste.local_add_seq('q', 's')`,
  `select * from londiste.local_add_seq('q', 's')`,
  `select * from londiste.local_add_seq('q', 'nothere')`,
  `select * from londiste.get_seq_list('q')`,
  `select * from londiste.global_update_seq('q', 'public.s', 10)`,
  `select * from londiste.global_update_seq('x', 'public.s', 10)`,
  `select * from londiste.root_check_seqs('q')`,
  `select * from londiste.root_check_seqs('x')`,
  `select * from londiste.execute_start('q', 'f.sql', 'select 1', true)`,
  `select * from londiste.execute_start('q', 'f.sql', 'select 1', true)`,
  `select * from londiste.execute_finish('q', 'f.sql')`,
  `select * from londiste.execute_finish('q', 'g.sql')`,
  `select londiste.find_column_types('t'), londiste.find_table_oid('t') is not null, londiste.find_seq_oid('s') is not null, londiste.find_table_oid('zz')`,
  `select londiste.make_fqname('a'), londiste.make_fqname('a.b.c'), londiste.quote_fqname('A b.select'), londiste.quote_fqname('x')`,
  `select * from londiste.split_fqname('a.b.c')`,
  `select londiste.is_replica_func('pgq.logutriga'::regproc), londiste.is_replica_func('now'::regproc)`,
  `select londiste.create_partition('public.v', 'public.v_2001_02', 'id', '', '2001-02-03'::timestamptz, 'month')`,
  `select londiste.create_partition('public.v', 'public.v_2001_02', 'id', '', '2001-02-03'::timestamptz, 'month')`,
  `select londiste.is_obsolete_partition('public.v_2001_02', '1 year', 'month'), londiste.is_obsolete_partition('public.v', '1 year', 'month')`,
  `select * from londiste.list_obsolete_partitions('public.v', '1 year', 'month')`,
  `select * from londiste.drop_obsolete_partitions('public.v', '1 year', 'month')`,
  `select londiste.set_session_replication_role('elsewhere', true)`,
  `select * from londiste.local_remove_seq('q', 's')`,
  `select * from londiste.local_remove_seq('q', 's')`,
  `select * from londiste.local_remove_table('q', 't')`,
  `select * from londiste.local_remove_table('q', 't')`,
  `select * from londiste.global_remove_table('q', 'public.u')`,
  `select * from londiste.global_remove_table('q', 'public.nope')`,
  `select ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3 from pgq.event_1 order by ev_id`,
  `select * from pgq_node.demote_root('q', 3, 'n2')`,
  `select * from pgq_node.demote_root('q', 4, 'n2')`,
  `select * from pgq_node.demote_root('x', 1, 'n2')`,
  `select * from pgq_node.demote_root('q', 1, 'n2')`,
  `select * from pgq_node.demote_root('q', 2, 'n2')`,
  `select * from pgq_node.demote_root('q', 3, 'n2')`,
  `select * from pgq_node.demote_root('q', 3, 'n2')`,
  `select * from pgq_node.set_global_watermark('q', null)`,
  `select * from pgq_node.set_global_watermark('q', 99)`,
  `select * from pgq_node.drop_node('q', 'n2')`,
  `select * from pgq_node.promote_branch('q')`,
  `select * from pgq_node.promote_branch('q')`,
  `select * from pgq_node.promote_branch('x')`,
  `select * from pgq_node.unregister_subscriber('q', 'n2')`,
  `select * from pgq_node.unregister_subscriber('q', 'n2')`,
  `select * from pgq_node.drop_node('q', 'n9')`,
  `select * from pgq_node.drop_node('q', 'n1')`,
  `select * from pgq_node.drop_node('x', 'n1')`,
  `select * from pgq_node.get_queue_locations('q') order by 1`,
];

/** Lines of the original's catalogue that are left out on purpose. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'londiste.local_change_handler(text,text,text[],text) EXECUTE public':
    'forgotten by the original, which gives its siblings to londiste_writer only',
};

/** Calls whose answer differs on purpose. */
const BETTER = new Map([
  [
    `select * from pgq_node.create_node('q', 'twig', 'n1', 'w1', null, null, null)`,
    'answers the code that the original sets before it fails on a constraint',
  ],
  [`select * from londiste.find_table_fkeys('t')`, 'definitions do not depend on the search_path'],
  [
    `select * from londiste.get_table_pending_fkeys('public.t')`,
    'definitions do not depend on the search_path',
  ],
  [
    `select londiste.restore_table_fkey('public.u', 'u_t_fkey', true)`,
    'definitions do not depend on the search_path',
  ],
  [
    `select ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3 from pgq.event_1 order by ev_id`,
    'a location that was not there is not unregistered at every node',
  ],
]);

describe.skipIf(missing.length > 0)('pgq_node and londiste beside the original of Debian', () => {
  let classic: ClassicPgq;
  let original: pg.Client;
  let ours: pg.Client;

  beforeAll(async () => {
    classic = await ClassicPgq.start();
    original = await classic.database('original');
    for (const name of ['pgq', 'pgq_node', 'londiste']) await original.query(`create extension ${name}`);
    ours = await classic.database('ours');
    await install(ours, { version: 'test' });
  }, 120_000);
  afterAll(() => classic?.stop());

  const lines = async (client: pg.Client, query: string) =>
    (await client.query<{ line: string }>(query)).rows.map(({ line }) => line);

  test.each([
    ['function', FUNCTIONS],
    ['column', COLUMNS],
    ['constraint', CONSTRAINTS],
    ['grant', GRANTS],
  ])('every %s of the original is here', async (_what, query) => {
    const here = new Set(await lines(ours, query));
    const lacking = (await lines(original, query)).filter((line) => !here.has(line));
    expect(lacking.filter((line) => !(line in LEFT_OUT))).toEqual([]);
  });

  test('every call is answered as by the original', async () => {
    const answers = async (client: pg.Client, query: string) => {
      try {
        const result = await client.query({ text: query, rowMode: 'array' });
        return result.rows;
      } catch (error) {
        return `error: ${(error as Error).message}`;
      }
    };
    for (const query of LIFE) {
      const [theirs, own] = [await answers(original, query), await answers(ours, query)];
      if (BETTER.has(query)) expect.soft({ query, answer: own }).not.toEqual({ query, answer: theirs });
      else expect.soft({ query, answer: own }).toEqual({ query, answer: theirs });
    }
  });
});

import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { composeSchema } from '../../../infra/build/sql.ts';
import { asSuperuser, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { rootNode } from '../pgq-node/cascade.ts';
import { CONTRACT } from './contract.ts';
import { addTable, node } from './set.ts';

let database: TestDatabase;
const users = ['pgq_reader', 'pgq_writer', 'pgq_admin', 'londiste_reader', 'londiste_writer'].map((role) => ({
  role,
  user: `test_${role}_${process.pid}`,
}));
const connections = new Map<string, pg.Client>();

beforeAll(async () => {
  database = await createDatabase();
  await rootNode(database, 'r');
  await node(database, 'l', 'leaf');
  await database.query('create table t (id int primary key)');
  await addTable(database, 'r', 't');
  for (const { role, user } of users) {
    await asSuperuser(database.superuserUrl, `create role ${user} login in role ${role}`);
    connections.set(role, await database.connect(user));
  }
  await asSuperuser(database.superuserUrl, `create role test_nobody_${process.pid} login`);
  connections.set('nobody', await database.connect(`test_nobody_${process.pid}`));
});
afterAll(async () => {
  const server = database.superuserUrl.replace(/\/[^/]*$/, '/postgres');
  await database.drop();
  for (const user of [...users.map(({ user }) => user), `test_nobody_${process.pid}`]) {
    await asSuperuser(server, `drop role ${user}`);
  }
});

const run = (role: string, sql: string) => {
  const client = connections.get(role);
  if (client === undefined) throw new Error(role);
  return client.query(sql);
};

test('every function has the arguments and results of the contract', async () => {
  const rows = await database.query<{ signature: string }>(
    `select n.nspname || '.' || p.proname || '(' || pg_get_function_arguments(p.oid) || ') -> '
            || pg_get_function_result(p.oid) as signature
       from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname in ('pgq_node', 'londiste')`,
  );
  expect(rows.map((row) => row.signature)).toEqual(expect.arrayContaining(CONTRACT));
});

test('functions that run as the owner pin their search path', async () => {
  expect(
    await database.query(
      `select p.oid::regprocedure::text as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('pgq_node', 'londiste') and p.prosecdef
          and not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'], false)`,
    ),
  ).toEqual([]);
});

test('tables have the columns of the contract', async () => {
  const rows = await database.query<{ line: string }>(
    `select c.oid::regclass || ': ' || string_agg(a.attname || ' ' || format_type(a.atttypid, null), ', '
                                                  order by a.attnum) as line
       from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace in ('pgq_node'::regnamespace, 'londiste'::regnamespace)
        and c.relname not in ('copy_job', 'copy_chunk', 'copy_dropped', 'copy_order', 'replay_progress', 'table_health', 'dead_event')
        and c.relkind = 'r' and a.attnum > 0 group by c.oid order by 1`,
  );
  expect(rows.map((row) => row.line)).toEqual([
    'londiste.applied_execute: queue_name text, execute_file text, execute_time timestamp with time zone, ' +
      'execute_sql text, execute_attrs text',
    'londiste.pending_fkeys: from_table text, to_table text, fkey_name text, fkey_def text',
    'londiste.seq_info: nr integer, queue_name text, seq_name text, local boolean, last_value bigint',
    'londiste.table_info: nr integer, queue_name text, table_name text, local boolean, merge_state text, ' +
      'custom_snapshot text, dropped_ddl text, table_attrs text, dest_table text',
    'londiste.trigger_args: queue_name text, table_name text, trg_args text[]',
    'pgq_node.local_state: queue_name text, consumer_name text, provider_node text, last_tick_id bigint, ' +
      'cur_error text, paused boolean, uptodate boolean',
    'pgq_node.node_info: queue_name text, node_type text, node_name text, worker_name text, combined_queue text, ' +
      'node_attrs text',
    'pgq_node.node_location: queue_name text, node_name text, node_location text, dead boolean',
    'pgq_node.subscriber_info: queue_name text, subscriber_node text, worker_name text, watermark_name text',
  ]);
});

describe('rights', () => {
  const calls = {
    version: 'select pgq_node.version(), londiste.version()',
    locations: `select * from pgq_node.get_queue_locations('r')`,
    nodeInfo: `select * from pgq_node.get_node_info('r')`,
    subscribe: `select * from pgq_node.register_subscriber('r', 'n2', 'w2', null)`,
    watermark: `select * from pgq_node.set_subscriber_watermark('r', 'n2', 1)`,
    unsubscribe: `select * from pgq_node.unregister_subscriber('r', 'n2')`,
    completed: `select * from pgq_node.set_consumer_completed('l', 'w', 1)`,
    workerState: `select * from pgq_node.get_worker_state('l')`,
    attributes: `select * from pgq_node.set_node_attrs('l', null)`,
    helper: `select pgq_node._newest_tick('r')`,
    tableList: `select * from londiste.get_table_list('r')`,
    sequenceList: `select * from londiste.get_seq_list('r')`,
    faults: `select * from londiste.find_trigger_faults('r')`,
    missing: `select * from londiste.local_show_missing('l')`,
    state: `select * from londiste.local_set_table_state('l', 'zz', null, null)`,
    checkSequences: `select * from londiste.root_check_seqs('r')`,
    maintain: 'select londiste.periodic_maintenance()',
    name: `select londiste.quote_fqname('a')`,
    readLocations: 'select * from pgq_node.node_location',
    writeState: 'update pgq_node.local_state set paused = paused',
    readTables: 'select * from londiste.table_info',
    writeTables: 'update londiste.table_info set local = local',
  };
  const everybody = ['version', 'name', 'readTables'];
  const source = ['locations', 'nodeInfo', 'subscribe', 'watermark', 'unsubscribe', 'readLocations'];
  const administrator = [
    ...everybody,
    ...source,
    'completed',
    'workerState',
    'attributes',
    'checkSequences',
    'maintain',
    'writeState',
    'writeTables',
  ];

  test.each([
    ['nobody', everybody],
    ['pgq_reader', [...everybody, ...source]],
    ['pgq_writer', [...everybody, ...source, 'completed']],
    ['pgq_admin', administrator],
    ['londiste_reader', [...everybody, ...source, 'tableList', 'sequenceList', 'faults']],
    ['londiste_writer', [...administrator, 'tableList', 'sequenceList', 'faults', 'missing', 'state']],
  ])('of a member of %s', async (role, granted) => {
    const works: string[] = [];
    for (const [name, sql] of Object.entries(calls)) {
      try {
        await run(role, sql);
        works.push(name);
      } catch (error) {
        expect((error as pg.DatabaseError).code, `${name}: ${error}`).toBe('42501');
      }
    }
    expect(works.sort()).toEqual([...granted].sort());
  });

  test('a member of londiste_writer administers a set of its own tables', async () => {
    await asSuperuser(database.superuserUrl, 'grant create on schema public to londiste_writer');
    await run('londiste_writer', 'create table own (id serial primary key, p int references own)');
    for (const sql of [
      `select londiste.local_add_table('r', 'own')`,
      `select londiste.local_add_seq('r', 'own_id_seq')`,
      'insert into own default values',
      `select londiste.drop_table_fkey('public.own', 'own_p_fkey')`,
      `select londiste.restore_table_fkey('public.own', 'own_p_fkey')`,
      `select londiste.create_partition('own', 'own_2020', 'id', null, now(), 'year')`,
      `select londiste.execute_start('r', 'f', 'select 1', true)`,
      `select londiste.execute_finish('r', 'f')`,
      `select londiste.local_remove_table('r', 'own')`,
    ]) {
      await run('londiste_writer', sql);
    }
  });
});

describe('install', () => {
  const install = (schemas: string[]) => schemas.map((schema) => composeSchema(schema)).join('\n');

  test('a second time keeps every row and every right', async () => {
    const state = () =>
      database.query(
        `select (select json_agg(t) from londiste.table_info t) as tables,
                (select json_agg(n) from pgq_node.node_info n) as nodes,
                (select json_agg(proacl order by p.oid::regprocedure::text) from pg_proc p
                  where pronamespace in ('pgq_node'::regnamespace, 'londiste'::regnamespace)) as rights`,
      );
    const before = await state();
    await database.query(`begin; ${install(['pgq_node', 'londiste'])} commit`);
    expect(await state()).toEqual(before);
    expect(
      await database.query('select pgq_node.upgrade_schema() as node, londiste.upgrade_schema() as londiste'),
    ).toEqual([{ node: 0, londiste: 0 }]);
  });

  test('brings the tables of older releases to the present shape', async () => {
    const old = await createDatabase();
    try {
      await old.query(
        `alter table pgq_node.node_info drop column node_attrs;
         alter table londiste.table_info drop column dest_table, drop constraint table_info_check,
           drop constraint table_info_queue_name_fkey,
           add constraint table_info_queue_name_fkey foreign key (queue_name) references pgq_node.node_info;
         alter table londiste.applied_execute drop column execute_attrs, drop constraint applied_execute_pkey,
           add constraint applied_execute_pkey primary key (queue_name, execute_file);
         drop trigger table_info_trigger_sync on londiste.table_info;
         create trigger table_info_trigger_sync after delete on londiste.table_info
           for each row execute procedure londiste.table_info_trigger()`,
      );
      expect(
        await old.query('select pgq_node.upgrade_schema() as node, londiste.upgrade_schema() as londiste'),
      ).toEqual([{ node: 1, londiste: 6 }]);
      await old.query(`begin; ${install(['pgq_node', 'londiste'])} commit`);
      await node(old, 'set', 'root');
      await old.query('create table t (id int primary key)');
      expect(await addTable(old, 'set', 'q.name', null, null, 't')).toEqual([
        200,
        'Table added: q.name(public.t)',
      ]);
    } finally {
      await old.drop();
    }
  });
});

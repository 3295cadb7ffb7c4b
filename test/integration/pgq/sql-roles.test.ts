import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { composeSchema } from '../../../infra/build/sql.ts';
import { startPostgres } from '../../../lib/local/postgres.ts';
import { asSuperuser, createDatabase, type TestDatabase } from '../../support/postgres.ts';

const url = inject('postgresUrl');
const member = (role: string) => `t_${role}_${process.pid}`;
const roles = ['reader', 'writer', 'admin'] as const;

let db: TestDatabase;
const as = {} as Record<(typeof roles)[number] | 'nobody', pg.Client>;

beforeAll(async () => {
  db = await createDatabase();
  for (const role of roles) {
    await asSuperuser(url, `create role ${member(role)} login in role pgq_${role}`);
    as[role] = await db.connect(member(role));
  }
  await asSuperuser(url, `create role ${member('nobody')} login`);
  as.nobody = await db.connect(member('nobody'));
});

afterAll(async () => {
  await db.drop();
  for (const role of [...roles, 'nobody']) await asSuperuser(url, `drop role ${member(role)}`);
});

test('each role does its own work and nothing else', async () => {
  const allowed = async (role: keyof typeof as, text: string) => (await as[role].query(text)).rows;
  const denied = (role: keyof typeof as, text: string, on: string) =>
    expect(as[role].query(text), `${role}: ${text}`).rejects.toThrow(`permission denied for ${on}`);

  await allowed('admin', "select pgq.create_queue('q'), pgq.set_queue_config('q', 'ticker_max_lag', '0')");
  await allowed('admin', "select pgq.set_queue_config('q', 'rotation_period', '0')");
  await denied('writer', "select pgq.create_queue('w')", 'function create_queue');
  await denied('writer', "select pgq.register_consumer('q', 'w')", 'function register_consumer');
  await denied('reader', "select pgq.create_queue('r')", 'function create_queue');
  await denied('reader', "select pgq.insert_event('q', 't', 'd')", 'function insert_event');
  await denied('nobody', "select pgq.insert_event('q', 't', 'd')", 'function insert_event');
  await denied('nobody', "select pgq.next_batch('q', 'c')", 'function next_batch');
  await denied('reader', 'select pgq.ticker()', 'function ticker');
  await denied('reader', "select pgq.tick_now('q')", 'function tick_now');
  await denied('writer', 'select pgq.maint_retry_events()', 'function maint_retry_events');

  await allowed('reader', "select pgq.register_consumer('q', 'c')");
  await allowed(
    'writer',
    "select pgq.insert_event('q', 't', 'd'), pgq.insert_event('q', 't', 'd', '', '', '', '')",
  );
  await allowed('writer', "select pgq.current_event_table('q')");
  await allowed(
    'writer',
    "begin isolation level serializable; select pgq.insert_event('q', 't', 'd'); commit",
  );
  await allowed('writer', "begin isolation level serializable; select pgq.current_event_table('q'); commit");
  await denied('writer', 'insert into pgq.event_1_0 (ev_time) values (now())', 'table event_1_0');
  await allowed('admin', 'insert into pgq.event_1_0 (ev_time) values (now())');
  await allowed('admin', 'select pgq.upgrade_schema()');
  await allowed('admin', "select pgq.insert_event_raw('q', null, now(), null, null, '', '', '', '', '', '')");
  await allowed(
    'admin',
    "begin isolation level serializable; select pgq.insert_event('q', 't', 'd'); commit",
  );
  await allowed('admin', 'select pgq.ticker()');
  expect(await allowed('reader', "select pgq.next_batch('q', 'c') as batch")).toEqual([{ batch: '1' }]);
  expect(await allowed('reader', 'select * from pgq.get_batch_events(1)')).toHaveLength(6);
  await allowed('reader', "begin; select pgq.get_batch_cursor(1, 'c', 1); commit");
  await allowed('reader', 'select pgq.event_retry(1, 1, 0), pgq.batch_retry(1, 0), pgq.get_batch_info(1)');
  await denied('writer', 'select * from pgq.get_batch_events(1)', 'function get_batch_events');
  await denied('nobody', 'select * from pgq.event_1_0', 'table event_1_0');
  await denied('nobody', 'select * from pgq.retry_queue', 'table retry_queue');
  await allowed('reader', "select pgq.finish_batch(1), pgq.force_tick('q')");
  await allowed('admin', "select pgq.tick_now('q')");
  await allowed('admin', 'select pgq.maint_retry_events()');
  await allowed('admin', 'select * from pgq.maint_operations()');
  await allowed('admin', "select pgq.maint_rotate_tables_step1('q')");
  await allowed('admin', 'select pgq.maint_rotate_tables_step2()');
  await allowed('admin', "select pgq.grant_perms('q')");
  await allowed('reader', "select pgq.unregister_consumer('q', 'c')");
  expect(await allowed('nobody', 'select queue_name from pgq.get_queue_info()')).toHaveLength(1);
  expect(await allowed('nobody', "select * from pgq.get_queue_info('q')")).toHaveLength(1);
  await allowed(
    'nobody',
    "select * from pgq.get_consumer_info() a, pgq.get_consumer_info('q') b, pgq.get_consumer_info('q', 'c') c",
  );
  await allowed(
    'nobody',
    "select pgq.version(), pgq.quote_fqname('a'), pgq.seq_getval('pgq.event_1_id_seq')",
  );
  await allowed(
    'nobody',
    'select * from pgq.rotation_blockers(), pgq.queue, pgq.tick, pgq.subscription, pgq.consumer',
  );
  await allowed('admin', "select pgq.drop_queue('q')");
});

test('an admin rotates queues that the owner made', async () => {
  await db.query("select pgq.create_queue('own'), pgq.set_queue_config('own', 'rotation_period', '0')");
  for (let current = 0; current === 0; ) {
    await as.admin.query("select pgq.maint_rotate_tables_step1('own')");
    await as.admin.query('select pgq.maint_rotate_tables_step2()');
    current = (
      await db.query<{ n: number }>("select queue_cur_table n from pgq.queue where queue_name = 'own'")
    )[0]!.n;
  }
  await db.query("select pgq.drop_queue('own')");
});

test("the caller's search_path brings nothing of his into functions that run as the owner", async () => {
  const owned = await db.query<{ name: string }>(
    `select oid::regprocedure::text as name from pg_proc
      where prosecdef and pronamespace = 'pgq'::regnamespace
        and not exists (select from unnest(proconfig) c where c like 'search_path=%')`,
  );
  expect(owned.map((row) => row.name)).toEqual(['pgq.insert_event(text,text,text,text,text,text,text)']);

  await db.query("select pgq.create_queue('target'), pgq.create_queue('other')");
  await db.query(`create schema trap; grant all on schema trap to ${member('writer')}`);
  // Operators and functions with exactly the argument types in use, which would say who called them.
  await as.writer.query(`
    create function trap.same(text, text) returns boolean language plpgsql as
      $$ begin raise exception 'caught as %', current_user; end $$;
    create function trap.same(integer, integer) returns boolean language plpgsql as
      $$ begin raise exception 'caught as %', current_user; end $$;
    create operator trap.= (function = trap.same, leftarg = text, rightarg = text);
    create operator trap.< (function = trap.same, leftarg = text, rightarg = text);
    create operator trap.<> (function = trap.same, leftarg = text, rightarg = text);
    create operator trap.= (function = trap.same, leftarg = integer, rightarg = integer);
    create operator trap.< (function = trap.same, leftarg = integer, rightarg = integer);
    create operator trap.> (function = trap.same, leftarg = integer, rightarg = integer);
    create function trap.hashtext(text) returns integer language plpgsql as
      $$ begin raise exception 'caught as %', current_user; end $$;
    create function trap.now() returns timestamptz language plpgsql as
      $$ begin raise exception 'caught as %', current_user; end $$;
    create function trap.txid_current() returns bigint language plpgsql as
      $$ begin raise exception 'caught as %', current_user; end $$;
    create function trap.nextval(regclass) returns bigint language plpgsql as
      $$ begin raise exception 'caught as %', current_user; end $$;
    create type trap.text as (a int); create type trap.bigint as (a int); create type trap.regclass as (a int);
    set search_path = trap, pg_catalog`);
  const insert = async (queue: string) =>
    (await as.writer.query('select pgq.insert_event($1, null, null, null, null, null, null) as id', [queue]))
      .rows;
  expect(await insert('target')).toEqual([{ id: '1' }]);
  await expect(insert('none')).rejects.toThrow('No such queue');
  await db.query(
    "update pgq.queue set queue_per_tx_limit = 5, queue_cur_table = 1 where queue_name = 'target'",
  );
  expect(await insert('target')).toEqual([{ id: '2' }]);
  await db.query("update pgq.queue set queue_disable_insert = true where queue_name = 'target'");
  await expect(insert('target')).rejects.toThrow('Insert into queue disallowed');
  await as.writer.query('begin isolation level serializable');
  expect(await insert('other')).toEqual([{ id: '1' }]);
  await as.writer.query('commit');

  // a generated trigger runs with the rights of its creator
  for (const level of ['row', 'statement']) {
    await db.query(`create table captured_${level} (id int primary key, a text, n oidvector);
      select pgq.create_fast_trigger('captured_${level}', 'other', 'logutriga', '${level}');
      grant all on captured_${level} to ${member('writer')}`);
    const change = `insert into public.captured_${level} values (1, 'ä&b', '1'), (2, 'plain', null);
      update public.captured_${level} set a = id, n = '1 2'; delete from public.captured_${level}`;
    await as.writer.query(change);
    await db.query("update pgq.queue set queue_switch_step2 = 3 where queue_name = 'other'");
    await as.writer.query(change);
    await as.writer.query(`begin isolation level repeatable read; ${change}; commit`);
    await db.query(`alter table captured_${level} add later int`);
    await as.writer.query(change);
  }
  expect(
    await db.query(`select ev_extra1, count(*)::int from pgq.event_template where ev_extra1 like 'public.captured%'
      group by 1 order by 1`),
  ).toEqual([
    { ev_extra1: 'public.captured_row', count: 24 },
    { ev_extra1: 'public.captured_statement', count: 24 },
  ]);
});

test('an owner who may not create roles installs everything but their grants, and later those', async () => {
  const server = await startPostgres(
    // the server of this test run has the roles already
    { settings: { max_connections: 20 } },
  );
  const clients: pg.Client[] = [];
  const connect = async (user: string, database: string) => {
    const client = new pg.Client({ connectionString: server.url(database, user) });
    await client.connect();
    clients.push(client);
    return client;
  };
  try {
    const admin = await connect('postgres', 'postgres');
    await admin.query('create role plain login');
    await admin.query('create database one owner plain');
    const install = `begin; ${composeSchema('skytools')} ${composeSchema('pgq')} commit;`;
    const first = await connect('plain', 'one');
    const second = await connect('plain', 'one');
    const notices: string[] = [];
    first.on('notice', (notice) => notices.push(notice.message ?? ''));
    const [result] = await Promise.all([first.query(install), second.query(install)]);
    const rows = (result as unknown as pg.QueryResult[]).flatMap((part) => part.rows);
    expect(rows, 'one row in all').toEqual([{ upgrade_schema: 0 }]);
    expect(notices).toContain(
      'role pgq_reader is missing and plain may not create roles: its grants are left out',
    );
    await first.query("select pgq.create_queue('q'), pgq.insert_event('q', 't', 'd')");

    await admin.query('create role pgq_reader; create role pgq_writer');
    await admin.query(
      'create role pgq_admin in role pgq_reader, pgq_writer; create role w login in role pgq_writer',
    );
    await admin.query('create role a login in role pgq_admin');
    await first.query(`set client_min_messages = warning; ${install}`);
    const writer = await connect('w', 'one');
    expect((await writer.query("select pgq.insert_event('q', 't', 'd') as id")).rows).toEqual([{ id: '2' }]);
    const member = await connect('a', 'one');
    expect((await member.query('select count(*) from pgq.event_1_0')).rows).toEqual([{ count: '2' }]);
    await member.query("select pgq.drop_queue('q')");
  } finally {
    await Promise.all(clients.map((client) => client.end()));
    await server.stop('immediate');
  }
});

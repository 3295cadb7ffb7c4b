import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

let count = 0;
let queue: string;
let eventTable: string;
/** A table of two rows for each test: `id int primary key, a text, n numeric`. */
let table: string;

beforeEach(async () => {
  queue = `q${++count}`;
  table = `public.t${count}`;
  await database.query(`create table ${table} (id int primary key, a text, n numeric);
    insert into ${table} values (1, 'one', 1.5), (2, 'two', null)`);
  await database.query('select pgq.create_queue($1)', [queue]);
  eventTable = await eventsOf(queue);
});

/** The parent of a queue's event tables. */
async function eventsOf(name: string): Promise<string> {
  const [row] = await database.query('select queue_data_pfx as name from pgq.queue where queue_name = $1', [
    name,
  ]);
  return row!.name as string;
}

const create = (format: string, level: string, ...args: string[]) =>
  database.query(`select pgq.create_fast_trigger($1::regclass, $2, $3, $4, null, variadic $5::text[])`, [
    table,
    queue,
    format,
    level,
    args,
  ]);

/** Type and data of the events since the last call. */
async function take(): Promise<string[]> {
  const events = await database.query(`select ev_type, ev_data from ${eventTable} order by ev_id`);
  await database.query(`truncate ${eventTable}`);
  return events.map((event) => `${event.ev_type} ${event.ev_data}`);
}

const LEVELS = ['row', 'statement'];

describe.each(LEVELS)('a generated trigger of level %s', (level) => {
  test('logs inserts, updates, deletes and TRUNCATE', async () => {
    await create('logutriga', level);
    await database.query(`insert into ${table} values (3, 'x y', 2)`);
    await database.query(`update ${table} set a = 'z' where id <= 2`);
    await database.query(`delete from ${table} where id = 3`);
    await database.query(`update ${table} set a = 'none' where false`);
    await database.query(`truncate ${table}`);
    expect(await take()).toEqual([
      'I:id id=3&a=x+y&n=2',
      'U:id id=1&a=z&n=1.5',
      'U:id id=2&a=z&n',
      'D:id id=3&a=x+y&n=2',
      'R ',
    ]);
  });

  test('sees INSERT ON CONFLICT, and cascades as what they do', async () => {
    await create('logutriga', level);
    await database.query(`insert into ${table} values (2, 'new', 0), (5, 'five', 5)
      on conflict (id) do update set a = excluded.a`);
    expect((await take()).sort()).toEqual(['I:id id=5&a=five&n=5', 'U:id id=2&a=new&n']);
    await database.query(`create table parent${count} (id int primary key); insert into parent${count} values (1), (2), (5);
      alter table ${table} add foreign key (id) references parent${count} on delete cascade`);
    await database.query(`delete from parent${count} where id <> 5`);
    expect((await take()).sort()).toEqual(['D:id id=1&a=one&n=1.5', 'D:id id=2&a=new&n']);
  });

  test('refuses a change of the key with the words of the classic trigger', async () => {
    await create('jsontriga', level);
    await expect(database.query(`update ${table} set id = id + 10`)).rejects.toThrow(
      'primary key update not allowed',
    );
    await expect(database.query(`update ${table} set id = 3 - id where id in (1, 2)`)).rejects.toThrow(
      /primary key update not allowed|duplicate key/,
    );
    expect(await take()).toEqual([]);
  });

  test('deny refuses everything, and a table without key updates and deletes', async () => {
    await create('logutriga', level, 'deny');
    for (const [op, sql] of [
      ['INSERT', `insert into ${table} values (9)`],
      ['UPDATE', `update ${table} set a = 1`],
      ['DELETE', `delete from ${table}`],
      ['TRUNCATE', `truncate ${table}`],
    ]) {
      await expect(database.query(sql!)).rejects.toThrow(
        `Table '${table}' to queue '${queue}': change not allowed (${op})`,
      );
    }
    await create('logutriga', level);
    await database.query(`alter table ${table} drop constraint t${count}_pkey`);
    await database.query(`select pgq.refresh_fast_triggers('${table}')`);
    await database.query(`insert into ${table} values (9)`);
    await expect(database.query(`delete from ${table}`)).rejects.toThrow(
      'Update/Delete on table without pkey',
    );
    expect(await take()).toEqual(['I: id=9&a&n']);
  });

  test('a stale one never logs wrong rows: what another session altered is seen at once, then refreshed', async () => {
    await create('logutriga', level);
    const session = await database.connect();
    await session.query(`insert into ${table} values (3, 'x', 2)`);
    const other = await database.connect();
    await other.query(`alter table ${table} add extra int default 7`);
    await session.query(`insert into ${table} values (4, 'x', 2)`);
    await other.query(`alter table ${table} drop a`);
    await session.query(`insert into ${table} values (5, 2)`);
    await other.query(`alter table ${table} rename n to m`);
    await session.query(`insert into ${table} values (6, 2)`);
    await other.query(`alter table ${table} alter m type text using 't' || m`);
    await session.query(`insert into ${table} values (7, 'a&b')`);
    await other
      .query(`alter table ${table} drop constraint t${count}_pkey, add primary key (m)`)
      .catch(() => {});
    await other.query(`delete from ${table} where id <> 7`).catch(() => {});
    await session.query(`alter table ${table} rename to renamed${count}`);
    await session.query(`insert into renamed${count} values (8, 'r')`);
    const events = (await take()).filter((event) => event.startsWith('I'));
    expect(events).toEqual([
      'I:id id=3&a=x&n=2',
      'I:id id=4&a=x&n=2&extra=7',
      'I:id id=5&n=2&extra=7',
      'I:id id=6&m=2&extra=7',
      'I:id id=7&m=a%26b&extra=7',
      'I:id id=8&m=r&extra=7',
    ]);
    const refresh = `select pgq.refresh_fast_triggers('renamed${count}') as n`;
    expect(await database.query(refresh)).toEqual([{ n: 1 }]);
    await session.query(`insert into renamed${count} values (9, 'r')`);
    expect(await take()).toEqual(['I:id id=9&m=r&extra=7']);
    expect(await database.query(refresh)).toEqual([{ n: 0 }]);
  });

  test('a new name of the table or its schema is in the next event', async () => {
    await create('logutriga', level);
    const session = await database.connect();
    await session.query(`insert into ${table} values (3)`);
    const steps = [
      [`alter table ${table} rename to renamed${count}`, `public.renamed${count}`],
      [
        `create schema s${count}; alter table renamed${count} set schema s${count}`,
        `s${count}.renamed${count}`,
      ],
      [`alter schema s${count} rename to x${count}`, `x${count}.renamed${count}`],
    ] as const;
    for (const [id, [change, name]] of steps.entries()) {
      await database.query(change);
      await take();
      await session.query(`insert into ${name} values ($1)`, [10 + id]);
      expect(await database.query(`select ev_extra1 from ${eventTable}`)).toEqual([{ ev_extra1: name }]);
    }
    await take();
  });

  test('a change of the key itself is seen at once', async () => {
    await create('logutriga', level);
    const session = await database.connect();
    await session.query(`update ${table} set n = 1`);
    await database.query(
      `update ${table} set a = id; alter table ${table} drop constraint t${count}_pkey, add primary key (a)`,
    );
    await take();
    await session.query(`update ${table} set id = 9 where a = '1'`);
    expect(await take()).toEqual(['U:a id=9&a=1&n=1']);
    await expect(session.query(`update ${table} set a = a || '9'`)).rejects.toThrow(
      'primary key update not allowed',
    );
  });

  test('follows the rotation to the current table, with the xid of the transaction', async () => {
    await create('logutriga', level);
    const session = await database.connect();
    await session.query(`insert into ${table} values (3, 'x', 2)`);
    await database.query(`update pgq.queue set queue_cur_table = 1 where queue_name = '${queue}'`);
    await session.query(`insert into ${table} values (4, 'x', 2)`);
    await session.query(`insert into ${table} values (5, 'x', 2)`);
    await database.query(`update pgq.queue set queue_cur_table = 2 where queue_name = '${queue}'`);
    await session.query('begin');
    await session.query(`insert into ${table} values (6, 'x', 2)`);
    const { rows } = await session.query('select txid_current() as txid');
    await session.query('commit');
    const events = await database.query(
      `select ev_txid, tableoid::regclass::text as place, ev_id from ${eventTable} order by ev_id`,
    );
    expect(events.map((event) => (event.place as string).at(-1))).toEqual(['0', '1', '1', '2']);
    expect(events.map((event) => event.ev_id)).toEqual(['1', '2', '3', '4']);
    expect(events[3]!.ev_txid).toEqual(rows[0].txid);
  });

  test('keeps the limits of the queue: disabled inserts, events of one transaction', async () => {
    await create('logutriga', level);
    await database.query(`update pgq.queue set queue_disable_insert = true where queue_name = '${queue}'`);
    await expect(database.query(`insert into ${table} values (3)`)).rejects.toThrow(
      'Insert into queue disallowed',
    );
    await database.query(`update pgq.queue set queue_disable_insert = false, queue_per_tx_limit = 2
      where queue_name = '${queue}'`);
    await database.query(`insert into ${table} values (3), (4)`);
    await expect(database.query(`insert into ${table} values (5), (6), (7)`)).rejects.toThrow(
      `Queue '${queue}' allows max 2 events from one TX`,
    );
    expect(await take()).toEqual(['I:id id=3&a&n', 'I:id id=4&a&n']);
  });

  test('works under REPEATABLE READ and in roles local and replica as the classic trigger does', async () => {
    await create('logutriga', level);
    const session = await database.session('postgres');
    await session.query(`begin isolation level repeatable read; insert into ${table} values (3); commit`);
    await session.query(`set session_replication_role = local; insert into ${table} values (4)`);
    await session.query(`set session_replication_role = replica; insert into ${table} values (5)`);
    await session.query(
      `alter table ${table} enable always trigger pgq_${queue}; insert into ${table} values (6)`,
    );
    expect(await take()).toEqual(['I:id id=3&a&n', 'I:id id=6&a&n']);
  });

  test('a queue that was dropped and made again is found by its name', async () => {
    await create('logutriga', level);
    const session = await database.connect();
    await session.query(`insert into ${table} values (3)`);
    await database.query(`select pgq.drop_queue('${queue}', true)`);
    await expect(session.query(`insert into ${table} values (4)`)).rejects.toThrow('No such queue');
    await database.query('select pgq.create_queue($1)', [queue]);
    eventTable = await eventsOf(queue);
    await session.query(`insert into ${table} values (5)`);
    expect(await take()).toEqual(['I:id id=5&a&n']);
  });

  test('whoever changes the table needs no rights on the queue', async () => {
    await create('logutriga', level);
    await database.query(`create role user_${count}_${database.name} login`);
    await database.query(`grant insert on ${table} to user_${count}_${database.name}`);
    const user = await database.connect(`user_${count}_${database.name}`);
    await user.query(`insert into ${table} values (3)`);
    await user.end();
    expect(await take()).toEqual(['I:id id=3&a&n']);
    await database.query(`revoke all on ${table} from user_${count}_${database.name}`);
    await database.query(`drop role user_${count}_${database.name}`);
  });

  test('made again it replaces itself, and is dropped with all it made', async () => {
    await create('logutriga', level);
    await create('jsontriga', 'row', 'ignore=a');
    await create('jsontriga', level, 'ignore=a');
    await database.query(`update ${table} set a = 'other'`);
    await database.query(`update ${table} set n = 5 where id = 1`);
    expect(await take()).toEqual([
      `{"op":"UPDATE","table":["public","t${count}"],"pkey":["id"]} {"id":1,"n":"5"}`,
    ]);
    const drop = `select pgq.drop_fast_trigger($1::regclass, $2) as n`;
    expect(await database.query(drop, [table, `pgq_${queue}`])).toEqual([{ n: 1 }]);
    expect(await database.query(drop, [table, `pgq_${queue}`])).toEqual([{ n: 0 }]);
    const left = await database.query(
      `select tgname from pg_trigger where tgrelid = $1::regclass and not tgisinternal`,
      [table],
    );
    expect(left).toEqual([]);
  });

  test('expressions are taken from the row; when= decides', async () => {
    await create('logutriga', level, 'when=n > 1', 'ev_extra3=r.a || 1', 'ev_type=A');
    await database.query(`insert into ${table} values (3, 'c', 5), (4, 'd', 0)`);
    expect(await take()).toEqual(['c id=3&a=c&n=5']);
    await expect(database.query(`update ${table} set a = 'e'`)).rejects.toThrow('when= should not be NULL');
    await expect(create('logutriga', level, 'when=n')).rejects.toThrow(
      'when= query result must be boolean, got=1700',
    );
    await expect(create('logutriga', level, 'ev_type=(select 1)')).rejects.toThrow(
      'cannot hold a sub-select',
    );
    await expect(create('logutriga', level, 'ev_typ=1')).rejects.toThrow('bad param to pgq trigger');
  });
});

test('key_update=delete_insert logs all deletes first and all inserts last, so that keys can change places', async () => {
  await create('logutriga', 'statement', 'key_update=delete_insert');
  await database.query(`alter table ${table} drop constraint t${count}_pkey, add primary key (id) deferrable initially deferred;
    select pgq.refresh_fast_triggers()`);
  await database.query(`insert into ${table} values (3, 'three', 3)`);
  await take();
  await database.query(`update ${table} set id = case id when 1 then 2 when 2 then 1 else 3 end`);
  expect(await take()).toEqual([
    'D:id id=1&a=one&n=1.5',
    'D:id id=2&a=two&n',
    'U:id id=3&a=three&n=3',
    'I:id id=2&a=one&n=1.5',
    'I:id id=1&a=two&n',
  ]);
  await expect(create('logutriga', 'row', 'key_update=delete_insert')).rejects.toThrow('level statement');
});

test('a row trigger is planned for the queue as it is, once after each of its changes, also where plans may not be thrown away', async () => {
  await create('logutriga', 'row');
  const session = await database.connect('postgres');
  await session.query(`set track_functions = 'pl'; create view slow as
    select coalesce(sum(calls), 0)::int as calls from pg_stat_xact_user_functions where funcname = '_fast_insert'`);
  /** Inserts some rows in one transaction; returns how many went past the planned statements. */
  const insert = async (first: number, last: number): Promise<number> => {
    // a transaction sees those counts of earlier ones too that were not sent yet
    await session.query('begin');
    const { rows: before } = await session.query<{ calls: number }>('select calls from slow');
    for (let id = first; id <= last; id++) await session.query(`insert into ${table} values (${id})`);
    const { rows: after } = await session.query<{ calls: number }>('select calls from slow');
    await session.query('commit');
    return after[0]!.calls - before[0]!.calls;
  };
  const set = (assignment: string) =>
    database.query(`update pgq.queue set ${assignment} where queue_name = '${queue}'`);

  expect(await insert(3, 5)).toBe(0);
  for (const [n, assignment] of [
    'queue_cur_table = 1',
    'queue_switch_step2 = 9',
    'queue_cur_table = 2',
  ].entries()) {
    await set(assignment);
    expect(await insert(10 * n + 10, 10 * n + 14)).toBe(1);
    expect(await insert(10 * n + 15, 10 * n + 19)).toBe(0);
  }
  await set('queue_per_tx_limit = 100');
  expect(await insert(40, 42)).toBe(3);
  await set('queue_per_tx_limit = null');
  expect(await insert(43, 45)).toBe(1);
  // a materialized view is filled by restricted commands, of which DISCARD is none
  await session.query(`create function add_rows() returns int language sql as $$
      insert into ${table} values (50);
      update pgq.queue set queue_cur_table = 0 where queue_name = '${queue}';
      insert into ${table} values (51) returning id $$;
    create materialized view restricted as select add_rows()`);
  expect(await insert(52, 54)).toBeLessThanOrEqual(1);

  const events = await database.query(
    `select right(tableoid::regclass::text, 1) || ' ' || ev_data as event from ${eventTable} order by ev_id`,
  );
  expect(events.map(({ event }) => event)).toEqual(
    [
      ...[3, 4, 5].map((id) => [0, id]),
      ...[1, 1, 2].flatMap((place, n) => Array.from({ length: 10 }, (_, i) => [place, 10 * n + 10 + i])),
      ...[40, 41, 42, 43, 44, 45, 50].map((id) => [2, id]),
      ...[51, 52, 53, 54].map((id) => [0, id]),
    ].map(([place, id]) => `${place} id=${id}&a&n`),
  );
  await session.query('drop materialized view restricted; drop function add_rows; drop view slow');
});

test('an open transaction that has captured rows is stopped by queue_disable_insert', async () => {
  await create('logutriga', 'row');
  const session = await database.connect();
  await session.query(`begin; insert into ${table} values (3)`);
  await database.query(`update pgq.queue set queue_disable_insert = true where queue_name = '${queue}'`);
  await expect(session.query(`insert into ${table} values (4)`)).rejects.toThrow(
    'Insert into queue disallowed',
  );
  await session.query('rollback');
});

test('SKIP suppresses the change', async () => {
  await create('logutriga', 'row', 'SKIP');
  await database.query(`insert into ${table} values (3)`);
  await database.query(`delete from ${table} where id = 1`);
  expect(await take()).toEqual(['I:id id=3&a&n', 'D:id id=1&a=one&n=1.5']);
  expect(await database.query(`select id from ${table} order by id`)).toEqual([{ id: 1 }, { id: 2 }]);
});

test('what a generated trigger cannot capture rightly is refused, and the hint says what to do', async () => {
  await database.query(`create table part${count} (id int primary key) partition by range (id);
    create table part${count}_1 partition of part${count} for values from (0) to (9);
    create table magic${count} (id int primary key, _pgq_ev_type text);
    create view view${count} as select 1 as id;
    create table geo${count} (p point, id int)`);
  const attempt = (target: string, level: string, ...args: string[]) =>
    database.query(
      `select pgq.create_fast_trigger($1::regclass, $2, 'logutriga', $3, null, variadic $4::text[])`,
      [`${target}${count}`, queue, level, args],
    );
  await expect(attempt('part', 'row')).rejects.toThrow('is partitioned');
  await expect(
    database.query(`select pgq.create_fast_trigger('part${count}_1', '${queue}', 'logutriga', 'statement')`),
  ).rejects.toMatchObject({ hint: expect.stringContaining('use level row') });
  await expect(attempt('magic', 'row')).rejects.toThrow('take the place of event fields');
  await expect(attempt('view', 'row')).rejects.toThrow('is not a table');
  await expect(attempt('geo', 'statement', 'pkey=p')).rejects.toThrow('cannot compare');
  await expect(attempt('geo', 'statement', 'SKIP')).rejects.toThrow('SKIP needs a trigger of level row');
  await expect(attempt('geo', 'table')).rejects.toThrow('level "table" is not supported');
  await expect(
    database.query(`select pgq.create_fast_trigger('geo${count}', 'no such queue')`),
  ).rejects.toThrow('No such event queue');
  await database.query(`select pgq.create_fast_trigger('part${count}_1', '${queue}')`);
  await database.query(`insert into part${count} values (5)`);
  expect(await take()).toEqual(['I:id id=5']);
});

test('where a superuser installs, ALTER TABLE writes the triggers again by itself, and they keep their owner', async () => {
  await create('logutriga', 'row', 'when=true');
  const admin = await database.connect('postgres');
  await admin.query(`create event trigger pgq_refresh_fast_triggers on ddl_command_end when tag in ('ALTER TABLE')
    execute function pgq._refresh_on_ddl()`);
  const generated = `select p.proowner::regrole::text as owner, p.proconfig, p.prosrc like '%added%' as fits
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.tgrelid = $1::regclass and p.proname like '\\_pgq\\_fast%'`;
  const [before] = await database.query(generated, [table]);
  await admin.query(`alter table ${table} add added int`);
  const [after] = await database.query(generated, [table]);
  await admin.query('drop event trigger pgq_refresh_fast_triggers');
  expect(before).toMatchObject({ fits: false });
  expect(after).toEqual({ ...before, fits: true });
  await database.query(`insert into ${table} values (3)`);
  expect(await take()).toEqual(['I:id id=3&a&n&added']);
});

import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { asSuperuser, createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { OWNER } from '../../support/template.ts';
import { addTable, node } from './set.ts';

/** What a write to a branch's or a leaf's table fails with, whichever trigger comes first. */
const REFUSED = /disallowed|not allowed/;
const producer = `test_producer_${process.pid}`;
let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  await node(database, 'branch', 'branch');
  await node(database, 'leaf', 'leaf');
  await node(database, 'root', 'root');
  await database.query('create table t (id int primary key, v text)');
  await database.query('create table u (id int primary key, v text)');
  for (const [queue, table] of [
    ['branch', 't'],
    ['leaf', 't'],
    ['root', 'u'],
  ] as const) {
    await database.query('select londiste.global_add_table($1, $2)', [queue, table]);
    await addTable(database, queue, table, ['no_merge']);
  }
  await asSuperuser(database.superuserUrl, `create role ${producer} login in role pgq_writer`);
  await asSuperuser(database.superuserUrl, `grant insert, truncate on t, u to ${producer}`);
});
afterAll(async () => {
  const server = database.superuserUrl.replace(/\/[^/]*$/, '/postgres');
  await database.drop();
  await asSuperuser(server, `drop role ${producer}`);
});

/** Runs statements in one transaction that is rolled back; answers the last result. */
async function inTransaction(client: pg.Client, statements: string[]): Promise<pg.QueryResultRow[]> {
  await client.query('begin');
  try {
    let rows: pg.QueryResultRow[] = [];
    for (const statement of statements) rows = (await client.query(statement)).rows;
    return rows;
  } finally {
    await client.query('rollback');
  }
}
const role = (value: string) => `select londiste.set_session_replication_role('${value}', true)`;
const settings = `select current_setting('session_replication_role') as native, pgq._replication_role() as role`;

describe.each(['emulated', 'native'] as const)('%s', (method) => {
  let client: pg.Client;
  beforeAll(async () => {
    client = await database.connect(method === 'native' ? 'postgres' : OWNER);
  });

  test('the method in force is known beforehand', async () => {
    const { rows } = await client.query('select londiste.can_set_replication_role() as native');
    expect(rows).toEqual([{ native: method === 'native' }]);
  });

  test('role replica writes into the queue of a branch', async () => {
    const event = `pgq.insert_event('branch', 'a', 'b')`;
    expect(await inTransaction(client, [role('replica'), `select ${event} > 0 as written`])).toEqual([
      { written: true },
    ]);
    const table = `pgq.current_event_table('branch')`;
    expect(await inTransaction(client, [role('replica'), `select ${table} as name`])).toEqual([
      { name: expect.stringMatching(/^pgq\.event_\d+_0$/) },
    ]);
    for (const value of ['origin', 'local']) {
      await expect(inTransaction(client, [role(value), `select ${event}`])).rejects.toThrow(
        'Insert into queue disallowed',
      );
      await expect(inTransaction(client, [role(value), `select ${table}`])).rejects.toThrow(
        'Writing to queue disabled',
      );
    }
  });

  test.each(['replica', 'local'])('role %s changes subscribed tables and makes no events', async (value) => {
    const written = `select count(*)::int as events from pgq.event_template where ev_extra1 in ('public.t', 'public.u')`;
    const changes = [
      `insert into t values (1, 'x')`,
      `update t set v = 'y'`,
      'delete from t',
      'truncate t',
      `insert into u values (1, 'x')`,
      'truncate u',
    ];
    expect(await inTransaction(client, [role(value), ...changes, written])).toEqual([{ events: 0 }]);
    await expect(inTransaction(client, [role(value), role('origin'), ...changes])).rejects.toThrow(REFUSED);
  });

  test('the role ends with the transaction', async () => {
    await client.query('begin');
    await client.query(role('replica'));
    expect((await client.query(settings)).rows).toEqual([
      { native: method === 'native' ? 'replica' : 'origin', role: 'replica' },
    ]);
    await client.query('commit');
    expect((await client.query(settings)).rows).toEqual([{ native: 'origin', role: 'origin' }]);
    await expect(client.query(`insert into t values (2, 'x')`)).rejects.toThrow(REFUSED);
  });

  test('or with the session, where that is asked for', async () => {
    const session = await database.session(method === 'native' ? 'postgres' : OWNER);
    await session.query(`select londiste.set_session_replication_role('local', false)`);
    expect((await session.query(settings)).rows).toMatchObject([{ role: 'local' }]);
    await session.query(`select londiste.set_session_replication_role('origin', false)`);
    expect((await session.query(settings)).rows).toEqual([{ native: 'origin', role: 'origin' }]);
  });

  test.each(['other', null])('%s is no role', async (value) => {
    await expect(
      client.query('select londiste.set_session_replication_role($1, true)', [value]),
    ).rejects.toThrow('bad value for session_replication_role');
  });
});

test.skipIf(inject('postgresMajor') < 15)('an owner with the right uses the native role', async () => {
  // One beside the owner of all test databases: the right is one of the whole server, where other tests run.
  const setter = `test_setter_${process.pid}`;
  await asSuperuser(
    database.superuserUrl,
    `create role ${setter} login in role ${OWNER}; grant set on parameter session_replication_role to ${setter}`,
  );
  onTestFinished(() =>
    asSuperuser(
      database.superuserUrl,
      `revoke set on parameter session_replication_role from ${setter}; drop role ${setter}`,
    ),
  );
  const writer = await database.connect(setter);
  expect(await inTransaction(writer, [role('replica'), settings])).toEqual([
    { native: 'replica', role: 'replica' },
  ]);
  expect(await inTransaction(writer, ['select londiste.can_set_replication_role() as can'])).toEqual([
    { can: true },
  ]);
});

test('a producer gains nothing from the setting', async () => {
  const client = await database.connect(producer);
  const pretend = `set local skytools.replication_role = 'replica'`;
  await expect(
    inTransaction(client, [pretend, `select pgq.insert_event('branch', 'a', 'b')`]),
  ).rejects.toThrow('Insert into queue disallowed');
  await expect(inTransaction(client, [pretend, `insert into t values (3, 'x')`])).rejects.toThrow(REFUSED);
  await expect(inTransaction(client, [role('replica')])).rejects.toThrow('permission denied');
});

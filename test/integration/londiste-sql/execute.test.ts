import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { outcome } from '../pgq-node/cascade.ts';
import { node } from './set.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await node(database, 'r', 'root');
  await node(database, 'b', 'branch');
});
afterAll(() => database.drop());

const start = (queue: string, file: string, root: boolean) =>
  outcome(database, `londiste.execute_start($1, $2, 'select 1', $3, 'local-table=x')`, [queue, file, root]);
const finish = (queue: string, file: string) =>
  outcome(database, 'londiste.execute_finish($1, $2)', [queue, file]);

test('a script runs once in a database and travels from the root', async () => {
  expect(await start('r', 'f1.sql', true)).toEqual([200, 'Executing: f1.sql']);
  expect(await finish('r', 'f1.sql')).toEqual([200, 'Execute finished: f1.sql']);
  expect(await start('r', 'f1.sql', true)).toEqual([201, 'EXECUTE: "f1.sql" already applied, skipping']);
  expect(await start('b', 'f1.sql', false)).toEqual([201, 'EXECUTE: "f1.sql" already applied, skipping']);
  expect(
    await database.query(
      `select ev_type, ev_data, ev_extra1, ev_extra2 from pgq.event_template where ev_type = 'EXECUTE'`,
    ),
  ).toEqual([{ ev_type: 'EXECUTE', ev_data: 'select 1', ev_extra1: 'f1.sql', ev_extra2: 'local-table=x' }]);
});

test('on a branch it runs without an event', async () => {
  expect(await start('b', 'f2.sql', true)).toEqual([401, 'Node is not root node: b']);
  expect(await start('b', 'f2.sql', false)).toEqual([200, 'Executing: f2.sql']);
  expect(await finish('b', 'f2.sql')).toEqual([200, 'Execute finished: f2.sql']);
  expect(
    await database.query(`select count(*)::int as n from pgq.event_template where ev_extra1 = 'f2.sql'`),
  ).toEqual([{ n: 0 }]);
});

test('the short form has no attributes', async () => {
  expect(await outcome(database, `londiste.execute_start('r', 'f3.sql', 'select 3', false)`)).toEqual([
    200,
    'Executing: f3.sql',
  ]);
  expect(
    await database.query(`select execute_attrs from londiste.applied_execute where execute_file = 'f3.sql'`),
  ).toEqual([{ execute_attrs: null }]);
});

test('a second run of the same file waits for the first, and follows its fate', async () => {
  for (const [end, code] of [
    ['rollback', 200],
    ['commit', 201],
  ] as const) {
    const first = await database.connect();
    await first.query('begin');
    await first.query(`select londiste.execute_start('r', 'slow ${end}', 'select 1', true)`);
    const second = start('r', `slow ${end}`, true);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await first.query(end);
    expect((await second)[0]).toBe(code);
  }
});

test('finish without start, and unknown queues, are errors', async () => {
  expect(await finish('r', 'never')).toEqual([404, 'execute_file called without execute_start']);
  await expect(start('nothing', 'x', false)).rejects.toThrow('queue does not exist: nothing');
  await expect(finish('nothing', 'never')).rejects.toThrow('queue does not exist: nothing');
});

test('only a root tells the cascade', async () => {
  expect(await database.query(`select londiste.root_notify_change('r', 'a.b', 'c') as n`)).toEqual([
    { n: 1 },
  ]);
  await expect(database.query(`select londiste.root_notify_change('b', 'a.b', 'c')`)).rejects.toThrow(
    'only root node can send events',
  );
});

test('maintenance forgets scripts after three months', async () => {
  await start('r', 'old', true);
  await start('r', 'new', true);
  await database.query(
    `update londiste.applied_execute set execute_time = now() - interval '4 months' where execute_file = 'old'`,
  );
  expect(await database.query('select londiste.periodic_maintenance() as n')).toEqual([{ n: 0 }]);
  expect(
    await database.query(
      `select execute_file from londiste.applied_execute where execute_file in ('old', 'new')`,
    ),
  ).toEqual([{ execute_file: 'new' }]);
});

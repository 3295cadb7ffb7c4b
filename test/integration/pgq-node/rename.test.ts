import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { cascadeEvents, otherNode, outcome, positions, rootNode } from './cascade.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const step = (number: 1 | 2, queue: string, from: string, to: string) =>
  outcome(database, `pgq_node.rename_node_step${number}($1, $2, $3)`, [queue, from, to]);

test('on the provider the subscription passes to the new name, where it stands', async () => {
  await rootNode(database, 'r');
  await database.query(`select pgq_node.register_subscriber('r', 'n2', 'n2_worker', null)`);
  for (let call = 0; call < 2; call++) {
    expect(await step(1, 'r', 'n2', 'north')).toEqual([200, 'New name registered: north']);
  }
  expect(await step(2, 'r', 'n2', 'north')).toEqual([200, 'Node renamed: n2 -> north']);
  expect(await step(2, 'r', 'n2', 'north')).toEqual([301, 'Node is renamed already: north']);
  expect(await positions(database, 'r')).toEqual([
    '.global_watermark: 1',
    '.north.watermark: 1',
    'n2_worker: 1',
  ]);
  expect(await database.query(`select * from pgq_node.get_subscriber_info('r')`)).toEqual([
    { node_name: 'north', worker_name: 'n2_worker', node_watermark: '1' },
  ]);
  expect(await cascadeEvents(database, 'r')).toEqual([
    'pgq.location-info north r dbname=n2 false',
    'pgq.unregister-location n2 r -',
  ]);
});

test('the node itself and its readers follow', async () => {
  await otherNode(database, 'b', 'branch', 1);
  await step(1, 'b', 'n2', 'north');
  await step(1, 'b', 'n1', 'top');
  expect((await step(2, 'b', 'n2', 'north'))[0]).toBe(200);
  expect((await step(2, 'b', 'n1', 'top'))[0]).toBe(200);
  expect(
    await database.query(
      `select node_name, provider_node, provider_location from pgq_node.get_node_info('b')`,
    ),
  ).toEqual([{ node_name: 'north', provider_node: 'top', provider_location: 'dbname=n1' }]);
  expect(
    (await database.query<{ node_name: string }>(`select * from pgq_node.get_queue_locations('b')`)).map(
      (row) => row.node_name,
    ),
  ).toEqual(['n3', 'north', 'top']);
});

test('a root is its own provider under the new name', async () => {
  await rootNode(database, 'self');
  await step(1, 'self', 'n1', 'top');
  await step(2, 'self', 'n1', 'top');
  expect(await database.query(`select node_name, provider_node from pgq_node.get_node_info('self')`)).toEqual(
    [{ node_name: 'top', provider_node: 'top' }],
  );
});

test('unknown names and skipped steps are refused', async () => {
  await rootNode(database, 'x');
  expect(await step(1, 'x', 'unknown', 'y')).toEqual([404, 'Location not found: x/unknown']);
  expect(await step(2, 'x', 'n2', 'y')).toEqual([404, 'Location not found: x/y']);
  for (const node of ['n2', 'n3']) {
    await database.query(`select pgq_node.register_subscriber('x', $1, $1 || '_worker', null)`, [node]);
  }
  expect(await step(2, 'x', 'n2', 'n3')).toEqual([401, 'Both names have subscriptions: n2, n3']);
});

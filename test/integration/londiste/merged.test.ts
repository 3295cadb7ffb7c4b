import { expect, it, onTestFinished } from 'vitest';
import { createNode } from '../../../lib/londiste/admin/create-node.ts';
import { addTable } from '../../../lib/londiste/admin/tables.ts';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { connect, disconnect } from '../../../lib/postgres/connect.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { rowsOf } from './cascade.ts';

const PARTS = ['part1', 'part2'];

/** Two partitions, a database that merges them into the set `all`, and a standby of that one. */
async function mergedSet() {
  const databases = new Map<string, TestDatabase>();
  for (const name of [...PARTS, 'merger', 'standby']) {
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    databases.set(name, database);
  }
  const urls = [...databases].map(([name, { url }]) => [name, { url }]);
  const scope: NodeScope = {
    config: parseConfig({ databases: Object.fromEntries(urls) }),
    deadline: Deadline.after(120_000),
    async database(name, body) {
      const client = await connect(databases.get(name)!.url);
      try {
        return await body(client);
      } finally {
        await disconnect(client);
      }
    },
  };
  const node = (at: string, queue: string, type: 'root' | 'branch' | 'leaf', more: object = {}) =>
    scope.database(at, (client) =>
      createNode(scope, client, { queue, type, name: `${at}_${queue}`, location: at, ...more }),
    );
  for (const part of PARTS) await node(part, part, 'root');
  await node('merger', 'all', 'root');
  await node('standby', 'all', 'branch', { provider: 'merger' });
  for (const part of PARTS)
    for (const at of ['merger', 'standby']) await node(at, part, 'leaf', { provider: part, combined: 'all' });
  for (const database of databases.values())
    await database.query('create table public.item (id int primary key, name text)');
  for (const part of PARTS)
    await scope.database(part, (client) =>
      addTable(scope, client, { queue: part, table: 'item', expectSync: true }),
    );
  const at = (name: string) => databases.get(name)!;
  const tickAll = async () => {
    for (const database of databases.values())
      await database.query(
        `select pgq.force_tick(queue_name), pgq.ticker(queue_name) from pgq.queue where not queue_external_ticker`,
      );
  };
  const replay = async (name: string, queue: string) => {
    while ((await replayBatch(scope, name, queue)).next === 'again');
  };
  return { scope, at, tickAll, replay };
}

it('partitions are merged into one set, whose standby follows each of them to the tick', async () => {
  const { scope, at, tickAll, replay } = await mergedSet();
  const round = async () => {
    await tickAll();
    for (const part of PARTS) await replay('merger', part);
    await tickAll();
    await replay('standby', 'all');
    for (const part of PARTS) await replay('standby', part);
  };
  await round();
  for (const name of ['merger', 'standby'])
    await scope.database(name, (client) =>
      addTable(scope, client, { queue: 'part1', table: 'item', expectSync: true, merge: 'all' }),
    );
  await round();

  await at('part1').query(`insert into item values (1, 'one'), (3, 'gone')`);
  await at('part2').query(`insert into item values (2, 'two')`);
  await round();
  await at('part1').query(`update item set name = 'uno' where id = 1; delete from item where id = 3`);
  await round();

  expect(await rowsOf(at('merger'), 'item')).toEqual(['(1,uno)', '(2,two)']);
  expect(await rowsOf(at('standby'), 'item')).toEqual(['(1,uno)', '(2,two)']);
  const positions = `select queue_name, last_tick_id from pgq_node.local_state where queue_name like 'part%' order by 1`;
  const merged = await at('merger').query(positions);
  expect(await at('standby').query(positions)).toEqual(merged);
  // Neither holds back its partition.
  for (const part of PARTS) {
    const open = await at(part).query(`select from pgq.get_consumer_info($1) where lag > '1 hour'`, [part]);
    expect(open).toEqual([]);
  }
  // Events of the cascade stay in their partition.
  const kinds = await at('merger').query<{ ev_type: string }>(
    `select distinct left(ev_type, 8) as ev_type from pgq.event_template where ev_extra1 in ('public.item', 'part1', 'part2') order by 1`,
  );
  expect(kinds.map(({ ev_type }) => ev_type)).toEqual(
    expect.arrayContaining(['D:id', 'I:id', 'U:id', 'pgq.tick']),
  );
}, 60_000);

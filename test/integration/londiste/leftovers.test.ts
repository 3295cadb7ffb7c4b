import { expect, it } from 'vitest';
import { dropNode } from '../../../lib/londiste/admin/node.ts';
import { removeTable } from '../../../lib/londiste/admin/tables.ts';
import { copyStep } from '../../../lib/londiste/copy/copy.ts';
import { type Cascade, cascade, QUEUE } from './cascade.ts';

/** n1 → n2 (branch) → n3 (leaf), whose copies of `one` (from n2) and `two` (from n1) have begun. */
async function withCopies(): Promise<Cascade> {
  const set = await cascade(['branch', 'leaf'], { chunkBytes: 8192 });
  for (const table of ['one', 'two']) {
    for (const node of set.nodes) await node.query(`create table public.${table} (id int primary key)`);
    await set.root.query(`insert into ${table} select generate_series(1, 2000)`);
    await set.add(table, { expectSync: true });
  }
  await set.leaf.query(`update londiste.table_info set merge_state = null`);
  await set.leaf.query(
    `update londiste.table_info set table_attrs = 'copy_node=n1' where table_name = 'public.two'`,
  );
  for (const table of ['public.one', 'public.two']) await copyStep(set.scope, set.leaf.name, QUEUE, table);
  expect(await copiers(set)).toEqual(['n3_worker.copy.public.two', 'n3_worker.copy.public.one']);
  return set;
}

/** Consumers of copies on the nodes that are read from. */
async function copiers(set: Cascade): Promise<string[]> {
  const found: string[] = [];
  for (const node of set.nodes.slice(0, 2)) {
    const rows = await node.query<{ consumer: string }>(
      `select consumer_name as consumer from pgq.get_consumer_info('${QUEUE}') where consumer_name like '%.copy.%'`,
    );
    found.push(...rows.map(({ consumer }) => consumer));
  }
  return found;
}

it('a table that is removed in the middle of its copy leaves no consumer behind, wherever its rows come from', async () => {
  const set = await withCopies();
  for (const table of ['one', 'two'])
    await set.scope.database(set.leaf.name, (client) => removeTable(set.scope, client, QUEUE, table));
  expect(await copiers(set)).toEqual([]);
});

it('a node that is dropped in the middle of its copies leaves none behind, even if it cannot be asked', async () => {
  for (const reachable of [true, false]) {
    const set = await withCopies();
    const scope: Cascade['scope'] = {
      ...set.scope,
      database: (name, body) =>
        name === set.leaf.name && !reachable
          ? Promise.reject(new Error('connection refused'))
          : set.scope.database(name, body),
    };
    const failures = await set.scope.database(set.root.name, (client) =>
      dropNode(scope, client, QUEUE, 'n3'),
    );
    expect(Object.keys(failures)).toEqual(reachable ? [] : ['n3']);
    expect(await copiers(set)).toEqual([]);
  }
});

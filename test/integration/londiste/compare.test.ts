import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { type CompareOptions, compareTables } from '../../../lib/londiste/compare/compare.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { BusyError } from '../../../lib/platform/errors.ts';
import { type Cascade, cascade, QUEUE } from './cascade.ts';

const PATIENCE = { pause: () => sleep(20), allows: () => true };

/** More often than a busy machine replays, the subscribers would only fall back. */
const TICK_EVERY_MS = 300;

/** Ticks and replays, as the functions do, until the test is over. */
function running(set: Cascade): { stop: () => Promise<void> } {
  let on = true;
  const work = async (everyMs: number, body: () => Promise<unknown>) => {
    while (on) {
      await body().catch((error) => {
        if (!(error instanceof BusyError)) throw error;
      });
      await sleep(everyMs);
    }
  };
  const all = Promise.all([
    work(TICK_EVERY_MS, () => set.root.query('select pgq.ticker()')),
    ...set.nodes.slice(1).map((node) => work(10, () => replayBatch(set.scope, node.name, QUEUE))),
  ]);
  const stop = async () => {
    on = false;
    await all;
  };
  onTestFinished(stop);
  return { stop };
}

const compare = (set: Cascade, node: number, options: Partial<CompareOptions> = {}) =>
  set.scope.database(set.nodes[node]!.name, (client) =>
    compareTables(set.scope, client, { queue: QUEUE, tables: [], holdMs: 50_000, ...options }, PATIENCE),
  );

async function withItems(types: ('branch' | 'leaf')[]): Promise<Cascade> {
  const set = await cascade(types);
  for (const node of set.nodes)
    await node.query('create table item (id int primary key, v text, at timestamptz default now())');
  await set.add('item', { expectSync: true });
  await set.root.query(`insert into item select g, 'row ' || g from generate_series(1, 500) g`);
  return set;
}

test('two nodes are compared at one logical point while their rows change, the source root or branch', async () => {
  const set = await withItems(['branch', 'leaf']);
  const background = running(set);
  const writer = await set.root.connect();
  const slow = await set.root.connect();
  let writing = true;
  const written = (async () => {
    for (let n = 0; writing; n++) {
      await writer.query(`begin; update item set v = v || '.' where id % 50 = ${n % 50};
        delete from item where id = ${(n % 500) + 1}; insert into item values (${1000 + n}, 'new'); commit`);
    }
  })();
  for (let round = 0; round < 3; round++) {
    // Open across the point: its row is in neither snapshot.
    await slow.query(`begin; insert into item values (${-round - 1}, 'late')`);
    const results = [await compare(set, 1), await compare(set, 2)];
    await slow.query('commit');
    expect(results.map(([table]) => [table!.result, table!.source])).toEqual([
      ['same', 'n1'],
      ['same', 'n2'],
    ]);
    expect(results[0]![0]!.sourceResult).toMatch(/^\d+ rows, checksum=-?\d+$/);
  }
  writing = false;
  await written;
  await background.stop();
});

test('a difference shows, with a count, a checksum, and whatever query and function is given', async () => {
  const set = await withItems(['leaf']);
  await set.tick();
  await set.replay();
  running(set);
  await set.leaf.query(
    `begin; select londiste.set_session_replication_role('replica', true); update item set v = 'x' where id = 7; commit`,
  );
  await set.root.query('alter table item add only_here int default 1');
  const [full] = await compare(set, 1);
  expect(full).toMatchObject({ table: 'public.item', result: 'different', source: 'n1' });
  expect(full!.note).toContain('only_here');
  expect(full!.sourceResult).toMatch(/^500 rows/);
  expect(await compare(set, 1, { countOnly: true })).toMatchObject([
    { result: 'same', targetResult: '500 rows' },
  ]);
  expect(await compare(set, 1, { checksumFunction: 'hashtext' })).toMatchObject([{ result: 'different' }]);
  expect(await compare(set, 1, { sql: 'select max((_COLS_).f1), count(*) from _TABLE_ t' })).toMatchObject([
    { result: 'same', sourceResult: '500, 500' },
  ]);
  await expect(compare(set, 1, { checksumFunction: 'no_such' })).rejects.toMatchObject({
    code: 'LONDISTE_COMPARE_FUNCTION',
  });
  await expect(compare(set, 1, { tables: ['nope'] })).rejects.toMatchObject({
    code: 'LONDISTE_NOT_SUBSCRIBED',
  });
  await expect(compare(set, 0)).rejects.toMatchObject({ code: 'LONDISTE_COMPARE_ROOT' });
});

test('a subscriber that does not come to the point is given up, and the ticks flow again', async () => {
  const set = await withItems(['leaf']);
  await set.tick();
  await set.replay();
  // Its wait for the provider ends with the first tick; nobody replays the one of the comparison.
  const looks = {
    pause: async () => {
      await set.tick();
      await set.replay();
    },
    allows: () => true,
  };
  const attempt = set.scope.database(set.leaf.name, (client) =>
    compareTables(set.scope, client, { queue: QUEUE, tables: ['item'], holdMs: 200 }, looks),
  );
  await expect(attempt).rejects.toMatchObject({ code: 'LONDISTE_COMPARE_LAGGING' });
  await set.root.query(`insert into item values (0, 'after')`);
  await set.tick();
  await set.replay();
  expect(await set.leaf.query('select v from item where id = 0')).toEqual([{ v: 'after' }]);
});

test('tables that are not in sync, or keep no rows, are left out and named', async () => {
  const set = await withItems(['leaf']);
  await set.root.query('create table other (id int primary key)');
  await set.leaf.query('create table other (id int primary key)');
  await set.add('other', { handler: 'vtable' });
  await set.leaf.query('update londiste.table_info set merge_state = null where table_name = $1', [
    'public.item',
  ]);
  expect(await compare(set, 1)).toMatchObject([
    { table: 'public.item', result: 'skipped', note: 'it is not in sync: waiting' },
    { table: 'public.other', result: 'skipped', note: 'its handler keeps no rows' },
  ]);
});

test('a table that is found whole loses its mark of lost changes; equal counts, or a difference, leave it', async () => {
  const set = await withItems(['leaf']);
  await set.tick();
  await set.replay();
  await set.root.query(
    `alter table item disable trigger all; insert into item values (1001, 'lost', '2026-01-01')`,
  );
  await set.replay();
  await set.root.query('alter table item enable trigger all');
  await set.replay();
  const marked = async () =>
    (await set.leaf.query(`select from londiste.table_health where fault like 'changes were lost%'`)).length;
  expect(await marked()).toBe(1);
  const background = running(set);
  expect((await compare(set, 1))[0]!.result).toBe('different');
  expect(await marked()).toBe(1);
  // By hand, as somebody would who knows what is missing.
  const client = await set.leaf.connect();
  await client.query(`begin; select londiste.set_session_replication_role('replica', true);
    insert into item values (1001, 'lost', '2026-01-01'); commit`);
  expect((await compare(set, 1, { countOnly: true }))[0]!.result).toBe('same');
  expect(await marked()).toBe(1);
  expect((await compare(set, 1))[0]).toMatchObject({
    result: 'same',
    note: expect.stringContaining('the mark is off'),
  });
  expect(await marked()).toBe(0);
  await background.stop();
  await set.tick();
  await set.replay();
  expect(await marked()).toBe(0);
});

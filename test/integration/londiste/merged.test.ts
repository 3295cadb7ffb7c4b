import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createNode } from '../../../lib/londiste/admin/create-node.ts';
import { addTable, removeTable, resyncTable } from '../../../lib/londiste/admin/tables.ts';
import { copyStep } from '../../../lib/londiste/copy/copy.ts';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { parseTarget } from '../../../lib/postgres/target.ts';
import { WarmConnections } from '../../../lib/postgres/warm.ts';
import { until } from '../../support/cluster.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { rowsOf } from './cascade.ts';
import { dying } from './dying.ts';

const PARTS = ['part1', 'part2'];

const ITEM = 'create table public.item (id int primary key, name text, code int)';

/** Two partitions, a database that merges them into the set `all`, and a standby of that one if wanted. */
async function mergedSet(standby: 'standby'[] = []) {
  const databases = new Map<string, TestDatabase>();
  for (const name of [...PARTS, 'merger', ...standby]) {
    const database = await createDatabase();
    onTestFinished(() => database.drop());
    databases.set(name, database);
  }
  const urls = [...databases].map(([name, { url }]) => [name, { url }]);
  const connections = new WarmConnections();
  onTestFinished(() => connections.close());
  const scope: NodeScope = {
    config: parseConfig({
      databases: Object.fromEntries(urls),
      londiste: {
        nodes: Object.fromEntries(
          PARTS.map((queue) => [queue, { database: 'merger', queue, chunkBytes: 8192 }]),
        ),
      },
    }),
    deadline: Deadline.after(300_000),
    database: (name, body) =>
      connections.use(name, parseTarget(databases.get(name)!.url), async (client) => {
        try {
          return await body(client);
        } finally {
          Reflect.deleteProperty(client, 'query');
        }
      }),
  };
  const node = (at: string, queue: string, type: 'root' | 'branch' | 'leaf', more: object = {}) =>
    scope.database(at, (client) =>
      createNode(scope, client, { queue, type, name: `${at}_${queue}`, location: at, ...more }),
    );
  for (const part of PARTS) await node(part, part, 'root');
  await node('merger', 'all', 'root');
  for (const name of standby) await node(name, 'all', 'branch', { provider: 'merger' });
  for (const part of PARTS)
    for (const at of ['merger', ...standby])
      await node(at, part, 'leaf', { provider: part, combined: 'all' });
  for (const database of databases.values()) await database.query(ITEM);
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
  const { scope, at, tickAll, replay } = await mergedSet(['standby']);
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

  expect(await rowsOf(at('merger'), 'item')).toEqual(['(1,uno,)', '(2,two,)']);
  expect(await rowsOf(at('standby'), 'item')).toEqual(['(1,uno,)', '(2,two,)']);
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
});

describe('the copy of a table that several sets fill', () => {
  const LONG = process.env.SKYTOOLS_TEST_LONG === '1';

  /** Partitions with rows of even and of odd keys, and the table subscribed from both. */
  async function merging(standby: 'standby'[] = []) {
    const set = await mergedSet(standby);
    const merger = set.at('merger');
    await merger.query('create unique index item_code on item (code); create index item_name on item (name)');
    await fill(set, 200);
    await set.tickAll();
    for (const part of PARTS) await set.replay('merger', part);
    await set.scope.database('merger', (client) =>
      addTable(set.scope, client, { queue: 'part1', table: 'item', merge: 'all' }),
    );
    const indexNames = async () =>
      (
        await merger.query<{ name: string }>(
          `select indexrelid::regclass::text as name from pg_index where indrelid = 'item'::regclass order by 1`,
        )
      ).map(({ name }) => name);
    const all = await indexNames();
    const step = (part: string) => copyStep(set.scope, 'merger', part, 'public.item');
    const states = async () =>
      Object.fromEntries(
        (
          await merger.query<{ queue: string; state: string | null }>(
            `select queue_name as queue, merge_state as state from londiste.table_info where queue_name <> 'all' and local`,
          )
        ).map(({ queue, state }) => [queue, state]),
      );
    const round = async (part: string) => {
      const did = await step(part);
      await set.tickAll();
      for (const each of PARTS) await set.replay('merger', each);
      return did;
    };
    /** Steps the copies of these until all of them are in sync. */
    const settle = (parts = PARTS) =>
      until('the copies', async () => {
        const now = await states();
        const open = parts.filter((part) => part in now && now[part] !== 'ok');
        for (const part of open) await round(part);
        return open.length === 0;
      });
    const whole = async (parts = PARTS) => {
      await settle();
      await set.tickAll();
      for (const part of PARTS) await set.replay('merger', part);
      const rows = (await Promise.all(parts.map((part) => rowsOf(set.at(part), 'item')))).flat().sort();
      expect((await rowsOf(merger, 'item')).sort()).toEqual(rows);
      expect(await indexNames()).toEqual(all);
      expect(await merger.query('select from londiste.copy_job')).toEqual([]);
    };
    return { ...set, merger, step, states, round, settle, whole, indexNames };
  }
  const fill = async ({ at }: { at: (name: string) => TestDatabase }, rows: number) => {
    for (const [n, part] of PARTS.entries())
      await at(part).query(
        `insert into item select i * 2 + ${n}, repeat('n', 100), i * 2 + ${n} from generate_series(1, ${rows}) i`,
      );
  };

  it('model: under random changes of each, in random order, with crashes and new beginnings, it ends as all of them together', async () => {
    const set = await merging();
    const change = (part: number, n: number) => {
      const [id, other] = [((n * 13) % 200) * 2 + part, ((n * 7) % 200) * 2 + part];
      return [
        `insert into item values (${id + 1000}, repeat('i', ${n % 200}), ${id + 10_000 + n * 2}) on conflict do nothing`,
        `update item set name = repeat('u', ${n % 300}) where id in (${id}, ${other})`,
        `delete from item where id = ${id}`,
        `update item set code = -code where id = ${id}; update item set code = (select -code from item where id = ${id}) + 20000 where id = ${other}`,
        `with gone as (delete from item where id = ${id} returning *) insert into item select ${other + 2000}, name, code from gone on conflict do nothing`,
      ][n % 5]!;
    };
    const moves = fc.array(fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: 100_000 })), {
      minLength: 30,
      maxLength: 70,
    });
    await fc.assert(
      fc.asyncProperty(moves, async (all) => {
        const quietly = (work: Promise<unknown>) => work.catch(() => {});
        await set.scope.database('merger', (client) => resyncTable(set.scope, client, 'part1', 'item'));
        for (const [kind, n] of all) {
          const part = n % 2;
          const name = PARTS[part]!;
          if (kind < 3) await quietly(set.at(name).query(change(part, n)));
          else if (kind < 7)
            await Promise.allSettled([set.step(name), ...(n % 3 ? [] : [set.step(PARTS[1 - part]!)])]);
          else if (kind === 7)
            await quietly(copyStep(dying(set, 1 + (n % 40)).scope, 'merger', name, 'public.item'));
          else if (kind === 8) {
            await set.tickAll();
            await quietly(replayBatch(set.scope, 'merger', name));
          } else if (n % 4 === 0)
            // Its rows were copied by keys, its columns are others now: it begins again.
            await set.at(name).query('alter table item add x int; alter table item drop x');
          else if (n % 4 === 1) await set.round(name);
        }
        for (const each of ['merger', ...PARTS]) await set.at(each).quiet();
        await set.whole();
      }),
      { numRuns: LONG ? 8 : 1, seed: 11, endOnFailure: true },
    );
  }, 600_000);

  it('is emptied once; who is ready first goes on, and the indexes come back with the last one', async () => {
    const set = await merging();
    await set.merger.query(
      `begin; select londiste.set_session_replication_role('replica', true); insert into item values (-1, 'old', -1); commit`,
    );
    const limit = (attributes: string | null) =>
      set.merger.query(`update londiste.table_info set table_attrs = $1 where queue_name = 'part1'`, [
        attributes,
      ]);
    await limit('max_parallel_copy=1');
    await set.step('part2');
    expect(await set.indexNames()).toEqual(['item_pkey']);
    expect((await set.step('part1')).did.step).toBe('nothing');
    await limit(null);
    await set.step('part1');
    await set.settle(['part1']);
    expect(await set.states()).toEqual({ part1: 'ok', part2: 'in-copy' });
    expect(await set.indexNames()).toEqual(['item_pkey']);
    await set.at('part1').query(`delete from item where id = 2`);
    await set.whole();
  });

  it('begins again in all of them when one of them begins again, which leaves rows behind', async () => {
    const set = await merging();
    for (const part of PARTS) await set.step(part);
    await set.step('part1');
    await set.settle(['part2']);
    await set.at('part1').query('delete from item where id < 100; alter table item add note text');
    await set.merger.query('alter table item add note text');
    expect((await set.step('part1')).did.step).toBe('begun-again');
    await set.step('part1');
    expect(await set.states()).toEqual({ part1: null, part2: null });
    await set.at('part2').query('alter table item add note text');
    await set.whole();
  });

  it("says so where the original's resync asked one of them only, and a resync of ours makes it whole", async () => {
    const set = await merging();
    await set.settle();
    await set.merger.query(`select londiste.local_set_table_state('part1', 'public.item', null, null)`);
    const before = await rowsOf(set.merger, 'item');
    await expect(set.settle()).rejects.toMatchObject({
      code: 'COPY_KEY_TAKEN',
      hint: expect.stringContaining('skytools londiste resync'),
    });
    expect(await rowsOf(set.merger, 'item')).toEqual(before);
    await set.scope.database('merger', (client) => resyncTable(set.scope, client, 'part1', 'item'));
    expect(await set.states()).toEqual({ part1: null, part2: null });
    await set.at('part2').query(`update item set name = 'changed' where id < 50`);
    await set.whole();
  });

  it('goes on without the one that leaves, which had the indexes in its care', async () => {
    const set = await merging();
    for (const part of PARTS) await set.step(part);
    for (let n = 0; n < 2; n++) await set.step('part2');
    await set.scope.database('merger', (client) => removeTable(set.scope, client, 'part1', 'item'));
    expect(await set.indexNames()).toEqual(['item_pkey']);
    await set.whole(['part2']);
  });

  it('takes off what has to be unique, and nothing else, for one that comes later', async () => {
    const set = await merging();
    await set.scope.database('merger', (client) => removeTable(set.scope, client, 'part2', 'item'));
    await set.settle(['part1']);
    await set.scope.database('merger', (client) =>
      addTable(set.scope, client, { queue: 'part2', table: 'item', merge: 'none' }),
    );
    await set.step('part2');
    expect(await set.indexNames()).toEqual(['item_name', 'item_pkey']);
    await set.whole();
  });

  it('says so where two of them have a row of the same key', async () => {
    const set = await merging();
    await set.at('part2').query(`insert into item values (2, 'of part1 as well', -2)`);
    await expect(set.settle()).rejects.toMatchObject({ code: 'COPY_KEY_TAKEN' });
  });

  it('keeps subscribers of the merged set waiting until it is done', async () => {
    const set = await merging(['standby']);
    const below = () => copyStep(set.scope, 'standby', 'all', 'public.item');
    await set.replay('standby', 'all');
    await set.scope.database('standby', (client) =>
      addTable(set.scope, client, { queue: 'all', table: 'item' }),
    );
    await set.step('part1');
    expect((await below()).did.step).toBe('nothing');
    await set.whole();
    for (let did = ''; did !== 'in-sync'; did = (await below()).did.step) {
      await set.at('part1').query(`update item set name = name || '.' where id < 20`);
      for (const part of PARTS) await set.replay('merger', part);
      await set.tickAll();
      await set.replay('standby', 'all');
    }
    await set.whole();
    await set.tickAll();
    await set.replay('standby', 'all');
    expect(await rowsOf(set.at('standby'), 'item')).toEqual(await rowsOf(set.merger, 'item'));
  });
});

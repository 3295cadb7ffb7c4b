import pg from 'pg';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { JobMessage, JobOf } from '../../../lib/jobs/messages.ts';
import { addTables } from '../../../lib/londiste/admin/add-tables.ts';
import { cascadeStatus, drawTree } from '../../../lib/londiste/admin/status.ts';
import { londisteCapability } from '../../../lib/londiste/capability.ts';
import { copyWork } from '../../../lib/londiste/copy/work.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { BusyError } from '../../../lib/platform/errors.ts';
import { type Cascade, cascade, QUEUE } from './cascade.ts';

/** How many statements any client sends while `body` runs. */
async function statementsOf(body: () => Promise<unknown>): Promise<number> {
  const query = vi.spyOn(pg.Client.prototype, 'query');
  try {
    await body();
    return query.mock.calls.length;
  } finally {
    query.mockRestore();
  }
}

const names = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `public.t${from + index}`);

async function createTables(set: Cascade, nodes: Cascade['nodes'], from: number, to: number): Promise<void> {
  for (const node of nodes) {
    await node.query(
      names(from, to)
        .map((name) => `create table ${name} (id int primary key, a text)`)
        .join(';'),
    );
  }
  await set.root.query(
    names(from, to)
      .map((name) => `insert into ${name} select g, 'row ' || g from generate_series(1, 10) g`)
      .join(';'),
  );
}

const add = (set: Cascade, node: Cascade['root'], tables: string[], options = {}) =>
  set.scope.database(node.name, (client) =>
    addTables(set.scope, client, { queue: QUEUE, tables, all: tables.length === 0, ...options }),
  );

let set: Cascade;
beforeEach(async () => {
  set = await cascade();
  keepConnections(set);
});

/** As warm functions do: a connection is used again by whoever comes next. */
function keepConnections({ scope }: Cascade): void {
  const { database } = scope;
  const free = new Map<string, pg.Client[]>();
  const ended = Promise.withResolvers<void>();
  onTestFinished(() => ended.resolve());
  scope.database = async (name, body) => {
    const known = free.get(name) ?? [];
    free.set(name, known);
    let client = known.pop();
    if (client === undefined) {
      const opened = Promise.withResolvers<pg.Client>();
      void database(name, async (fresh) => {
        opened.resolve(fresh);
        await ended.promise;
      }).catch(opened.reject);
      client = await opened.promise;
    }
    const result = await body(client);
    known.push(client);
    return result;
  };
}

describe('a set of many tables', () => {
  it('twenty tables added at once are copied, each by its own messages and those of its node', async () => {
    await createTables(set, set.nodes, 1, 20);
    await add(set, set.root, []);
    const added = await add(set, set.leaf, []);
    expect(added.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 20 }, () => 'added'));

    const waiting: JobMessage[] = [];
    const runs = { copy: 0, replay: 0, ticks: 0 };
    const copy = async (job: JobOf<'copy'>) => {
      runs.copy++;
      // A lock of the server's own, such as autovacuum's: the next tick finds the table again.
      const work = await copyWork(set.scope, job).catch((error) => {
        if (!(error instanceof BusyError)) throw error;
      });
      waiting.push(...(work?.wake ?? []));
    };
    const replay = async (job: JobOf<'replay'>) => {
      runs.replay++;
      const { next, copies } = await replayBatch(set.scope, job.database, QUEUE);
      if (next === 'again') waiting.push(job);
      for (const table of copies) waiting.push({ ...job, kind: 'copy', table });
    };
    const open = async () =>
      (
        await set.leaf.query(
          `select from londiste.table_info where local and merge_state is distinct from 'ok'`,
        )
      ).length;
    while ((await open()) > 0) {
      runs.ticks++;
      await set.tick();
      for (const { name } of set.nodes) {
        const due = await set.scope.database(name, (client) =>
          Promise.resolve(londisteCapability.dueWork(client, set.scope.config, name)),
        );
        waiting.push(...due.jobs);
      }
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        if (job.kind === 'copy') await copy(job);
        if (job.kind === 'replay') await replay(job);
      }
    }
    // Waiting for a tick at each step would take at least fifteen of them: four tables have a place at a time.
    expect(runs.ticks).toBeLessThan(8);
    expect(runs.copy / 20).toBeLessThan(15);
    expect(runs.replay / 20).toBeLessThan(8);
    for (const name of ['public.t1', 'public.t20'])
      expect(await set.leaf.query(`select count(*)::int4 as n from ${name}`)).toEqual([{ n: 10 }]);
  });

  it('a visit sends as many statements with sixty tables as with two', async () => {
    const visit = () => replayBatch(set.scope, set.leaf.name, QUEUE);
    const measure = async (id: number) => {
      await set.tick();
      await set.replay();
      const idle = await statementsOf(visit);
      await set.root.query(`insert into t1 values (${id}, 'new ${id}')`);
      await set.tick();
      const batch = await statementsOf(visit);
      return { idle, batch };
    };
    await createTables(set, set.nodes, 1, 2);
    for (const node of set.nodes) await add(set, node, names(1, 2), { expectSync: true });
    const two = await measure(101);
    await createTables(set, set.nodes, 3, 60);
    for (const node of set.nodes) await add(set, node, names(3, 60), { expectSync: true });
    expect(await measure(102)).toEqual(two);
    expect(two.idle).toBeLessThan(20);
    expect(two.batch).toBeLessThan(40);
  });

  it('status shows the first troubled ones and says how many more there are', async () => {
    await createTables(set, set.nodes, 1, 30);
    for (const node of set.nodes) await add(set, node, names(1, 30), { expectSync: true });
    await set.root.query(
      names(1, 30)
        .map((name) => `alter table ${name} disable trigger all`)
        .join(';'),
    );
    await replayBatch(set.scope, set.leaf.name, QUEUE);
    const states = await set.scope.database(set.leaf.name, (client) =>
      cascadeStatus(set.scope, client, QUEUE),
    );
    const lines = drawTree(states, { seconds: String, alarm: String }).split('\n');
    expect(lines.filter((line) => line.includes('changes were lost'))).toHaveLength(10);
    expect(lines.join('\n')).toMatch(/and 20 more: skytools londiste tables/);
  });
});

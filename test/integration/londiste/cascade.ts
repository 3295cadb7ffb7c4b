import { onTestFinished } from 'vitest';
import { createNode } from '../../../lib/londiste/admin/create-node.ts';
import { type AddTable, addTable } from '../../../lib/londiste/admin/tables.ts';
import { copyStep } from '../../../lib/londiste/copy/copy.ts';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { parseTarget } from '../../../lib/postgres/target.ts';
import { WarmConnections } from '../../../lib/postgres/warm.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

/** A cascade n1 (root) → n2 … of databases, driven by hand. */
export interface Cascade {
  scope: NodeScope;
  nodes: TestDatabase[];
  root: TestDatabase;
  /** The last node. */
  leaf: TestDatabase;
  /** One tick of the root's queue. */
  tick(): Promise<void>;
  /** Replays until nothing is left, on every node from the top. */
  replay(): Promise<void>;
  /** Steps the copies of a node until none is left, with ticks and replay between. */
  copy(node?: number): Promise<void>;
  add(table: string, options?: Partial<AddTable>): Promise<void>;
}

export const QUEUE = 'set';

/** @param atEnd takes what removes it, to be called in reverse; by default it lives as long as the test */
export async function cascade(
  types: ('branch' | 'leaf')[] = ['leaf'],
  settings: Record<string, unknown> = {},
  atEnd: (remove: () => Promise<void>) => void = onTestFinished,
): Promise<Cascade> {
  const nodes: TestDatabase[] = [];
  for (let index = 0; index <= types.length; index++) {
    const database = await createDatabase();
    atEnd(() => database.drop());
    nodes.push(database);
  }
  const config = parseConfig({
    databases: Object.fromEntries(nodes.map((node) => [node.name, { url: node.url }])),
    londiste: {
      nodes: Object.fromEntries(
        nodes.map((node, index) => [`n${index + 1}`, { database: node.name, queue: QUEUE, ...settings }]),
      ),
    },
  });
  const connections = new WarmConnections();
  atEnd(() => connections.close());
  const scope: NodeScope = {
    config,
    deadline: Deadline.after(300_000),
    database: (name, body) =>
      connections.use(name, parseTarget(nodes.find((node) => node.name === name)!.url), async (client) => {
        try {
          return await body(client);
        } finally {
          // What a test has put in its place.
          Reflect.deleteProperty(client, 'query');
        }
      }),
  };
  for (const [index, node] of nodes.entries()) {
    await scope.database(node.name, (client) =>
      createNode(scope, client, {
        queue: QUEUE,
        type: index === 0 ? 'root' : types[index - 1]!,
        name: `n${index + 1}`,
        location: node.name,
        provider: nodes[index - 1]?.name,
      }),
    );
  }
  const root = nodes[0]!;
  await root.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);
  const self: Cascade = {
    scope,
    nodes,
    root,
    leaf: nodes.at(-1)!,
    async tick() {
      await root.query('select pgq.ticker($1)', [QUEUE]);
    },
    async replay() {
      for (const node of nodes.slice(1))
        while ((await replayBatch(scope, node.name, QUEUE)).next === 'again');
    },
    async copy(node = nodes.length - 1) {
      const { name } = nodes[node]!;
      for (const startedAt = performance.now(); ; ) {
        const open = await nodes[node]!.query<{ table_name: string }>(
          `select table_name from londiste.table_info where local and merge_state is distinct from 'ok' order by nr`,
        );
        if (open.length === 0) return;
        if (performance.now() - startedAt > 100_000)
          throw new Error(`copies do not end: ${open.map((row) => row.table_name)}`);
        for (const { table_name } of open) await copyStep(scope, name, QUEUE, table_name);
        await self.tick();
        await self.replay();
      }
    },
    async add(table, options = {}) {
      for (const node of nodes)
        await scope.database(node.name, (client) =>
          addTable(scope, client, { queue: QUEUE, table, ...options }),
        );
    },
  };
  return self;
}

/** The rows of a table, in the order of their text. */
export const rowsOf = async (database: TestDatabase, table: string): Promise<string[]> =>
  (await database.query<{ row: string }>(`select t::text as row from ${table} t order by 1`)).map(
    (row) => row.row,
  );

import type { Config } from '../platform/config.ts';

/** What happens when an update or delete finds no row: `ignore` counts it, `stop` refuses the batch, `upsert` adds the row. */
export type MissingRows = 'ignore' | 'stop' | 'upsert';

/** How a node of the configuration (`londiste.nodes`) is to be run. */
export interface NodeSettings {
  /** `set`: the net effect of a batch, table by table; `strict`: every event by itself, in order. */
  apply: 'set' | 'strict';
  missingRows: MissingRows;
  /** Exceptions, by the table's name in the queue. */
  tables: Readonly<Record<string, { missingRows: MissingRows }>>;
  /** What happens to an event that the node's tables refuse: the batch stops there, or it goes to `londiste.dead_event`. */
  refusedEvents: 'stop' | 'set-aside';
  /** Bytes of a table at the source that one chunk of its copy should hold. */
  chunkBytes: number;
  /** Tables of the node that are being copied at a time. */
  parallelCopies: number;
  /** next_batch_custom's limits. */
  minLagSeconds?: number | undefined;
  minCount?: number | undefined;
  minIntervalSeconds?: number | undefined;
}

/** Smaller chunks cost round trips, larger ones gain little and lose more with a function that is killed (test/bench/README.md). */
const CHUNK_BYTES = 64 * 1024 * 1024;

/** Of a node that says nothing. */
export const DEFAULTS: NodeSettings = {
  apply: 'set',
  missingRows: 'ignore',
  tables: {},
  refusedEvents: 'stop',
  chunkBytes: CHUNK_BYTES,
  parallelCopies: 4,
};

/** The same default as the tick's (capability.ts), which is too small a bundle to share it. */
const DATABASE_COPIES = 4;

/** Copies (chunks, index builds) side by side in a database, of all its nodes and on demand. */
export const copyLimit = (config: Config, database: string): number =>
  config.databases[database]?.copies ?? DATABASE_COPIES;

/** The settings of the node of a queue in a database; the defaults where it is not configured. */
export function nodeSettings(config: Config, database: string, queue: string): NodeSettings {
  const nodes = Object.values(
    (config.londiste.nodes ?? {}) as Record<
      string,
      Partial<NodeSettings> & { database: string; queue: string }
    >,
  );
  return { ...DEFAULTS, ...nodes.find((node) => node.database === database && node.queue === queue) };
}

import { readFileSync } from 'node:fs';
import { SkytoolsError, UsageError } from './errors.ts';

/** How a database is ticked and how long it may be left alone. Times in seconds. */
export interface TickPolicy {
  /** Between two ticks while there is work. At least 1, at most 60. */
  intervalSeconds: number;
  /** No tick is skipped before the database has been idle for so long. */
  idleAfterSeconds: number;
  /** The longest pause between two ticks of an idle database; 0 = none, tick every minute whatever happens. */
  idleMaximumSeconds: number;
}

export interface DatabaseConfig {
  /** `env:NAME`, `secretsmanager:ID`, `ssm:NAME`, a `postgres://` URL or a libpq connect string. */
  url: string;
  tick: TickPolicy;
}

/** What every consumer has. */
interface ConsumerBase {
  /** Database (by its name here) that holds the queue. */
  database: string;
  queue: string;
  /** Name registered in the queue; default: the key in `consumers`. */
  consumer: string;
  /** next_batch_custom's limits: wait until a batch is this old, holds so many events, or spans so much time. */
  minLagSeconds?: number | undefined;
  minCount?: number | undefined;
  minIntervalSeconds?: number | undefined;
  /** More than 0 makes the consumer cooperative, with up to so many subconsumers at work at once. */
  subconsumers: number;
  /** A subconsumer silent for so long is taken over. Must exceed the function's time-out. */
  deadAfterSeconds: number;
}

/** A handler of the user's: a module that exports `handleBatch` or `handleEvent`. */
export interface HandlerConsumerConfig extends ConsumerBase {
  kind: 'handler';
  /** Module path relative to the config file. */
  handler: string;
  /**
   * True: the handler writes through its `client`, and the batch is finished in the same transaction. False: it works
   * elsewhere or takes long; a lease keeps other workers away, and events are delivered at least once.
   */
  transactional: boolean;
  /**
   * For `handleEvent`: an event at which it throws is delivered again, after doubling times (seconds) and at most `maximum`
   * times, then kept as a dead letter. Without it, the batch fails as a whole and comes again.
   */
  retries?: { maximum: number; baseSeconds: number; maximumSeconds: number } | undefined;
}

/** Moves events into a queue of another database. */
export interface QueueMoverConfig extends ConsumerBase {
  kind: 'queue-mover';
  target: string;
  targetQueue: string;
}

/** Applies rows captured by PgQ's trigger functions to tables of another database. */
export interface ApplyRowsConfig extends ConsumerBase {
  kind: 'apply-rows';
  target: string;
  /** Source `schema.table` → target `schema.table`, where they differ. */
  tables?: Record<string, string> | undefined;
}

export type ConsumerConfig = HandlerConsumerConfig | QueueMoverConfig | ApplyRowsConfig;

/** The whole configuration after validation, plain data: it is bundled with the functions as JSON. */
export interface Config {
  databases: Record<string, DatabaseConfig>;
  consumers: Record<string, ConsumerConfig>;
  /** Replication and WAL sections, validated by their own rooms (lib/londiste, lib/walmgr). */
  londiste: Record<string, unknown>;
  walmgr: Record<string, unknown>;
}

/** Name of the file that the build writes beside each bundle. */
export const BUNDLED_CONFIG = 'skytools.config.json';

/**
 * The configuration that was validated and bundled at build time. `SKYTOOLS_CONFIG_FILE` names another file (local runs).
 *
 * @param bundleUrl `import.meta.url` of the bundle
 */
export function bundledConfig(bundleUrl: string): Config {
  const file = process.env.SKYTOOLS_CONFIG_FILE ?? new URL(BUNDLED_CONFIG, bundleUrl);
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Config;
  } catch (error) {
    throw new SkytoolsError('CONFIG_MISSING', 'the bundled configuration cannot be read', {
      cause: error,
      subject: { file: String(file) },
      hint: 'run `npm run build`, which validates skytools.config.ts and writes it beside each function',
    });
  }
}

/** @throws UsageError CONFIG_UNKNOWN_DATABASE */
export function databaseConfig(config: Config, name: string): DatabaseConfig {
  const found = config.databases[name];
  if (found) return found;
  throw new UsageError('CONFIG_UNKNOWN_DATABASE', `database "${name}" is not configured`, {
    subject: { database: name },
    hint: `add it under "databases" in skytools.config.ts; configured are: ${Object.keys(config.databases).join(', ') || 'none'}`,
  });
}

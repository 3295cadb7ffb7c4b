import { readFileSync } from 'node:fs';
import type { ValidatedConsumer } from './consumer-schema.ts';
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
  /** `env:NAME`, `secretsmanager:ID`, `ssm:NAME`, `rds-iam:URL`, a `postgres://` URL or a libpq connect string. */
  url: string;
  tick: TickPolicy;
  /** Steps of copies into this database (chunks, index builds) that may go on side by side. Default 4. */
  copies?: number | undefined;
  /** Resource id (`db-…`, `cluster-…`, `prx-…`) of RDS, with IAM authentication: narrows the right to connect to it. */
  rdsResourceId?: string | undefined;
}

/** A consumer after validation; `consumer` is the name registered in the queue. */
export type ConsumerConfig = ValidatedConsumer & { consumer: string };

/** The configuration of one kind of consumer. */
export type ConsumerOfKind<Kind extends ConsumerConfig['kind']> = Extract<ConsumerConfig, { kind: Kind }>;

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

/** An entry by a name that came from outside, which may be `constructor`. */
export const entry = <T>(entries: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(entries, name) ? entries[name] : undefined;

/** @throws UsageError CONFIG_UNKNOWN_DATABASE */
export function databaseConfig(config: Config, name: string): DatabaseConfig {
  const found = entry(config.databases, name);
  if (found) return found;
  throw new UsageError('CONFIG_UNKNOWN_DATABASE', `database "${name}" is not configured`, {
    subject: { database: name },
    hint: `add it under "databases" in skytools.config.ts; configured are: ${Object.keys(config.databases).join(', ') || 'none'}`,
  });
}

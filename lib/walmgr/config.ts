import * as v from 'valibot';
import { type Config, entry } from '../platform/config.ts';
import { UsageError } from '../platform/errors.ts';
import { type ArchiveLocation, parseArchiveUrl } from './archive/location.ts';

const text = v.pipe(v.string(), v.minLength(1));
const count = (least: number, most: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));

/** One cluster under `walmgr` in skytools.config.ts. */
const cluster = v.strictObject({
  /** `s3://BUCKET/PREFIX`. */
  archive: text,
  /** zstd level of what pull and backup write. */
  level: v.optional(count(1, 22)),
  /** A replication connection to the cluster, as under `databases`; needed by pull and backup. */
  source: v.optional(text),
  /** Database (by its name) that holds schema walmgr; without it nothing is checkpointed, and no tick wakes the work. */
  database: v.optional(text),
  /** The key that signs uploads, as a secret reference. */
  uploadKey: v.optional(text),
  /** The key that signs requests to read WAL through `wal-restore`, as a secret reference. */
  restoreKey: v.optional(text),
  pull: v.optional(
    v.strictObject({
      slot: v.optional(text, 'skytools_archive'),
      /** Stream until the function's time is over, which bounds the loss to seconds, instead of ending when caught up. */
      follow: v.optional(v.boolean(), false),
      /** Between the beginnings of two pulls when nothing is left to do. */
      everySeconds: v.optional(count(1, 3600), 60),
    }),
  ),
  backup: v.optional(
    v.strictObject({
      everyHours: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(24 * 31)), 24),
      /** Usable backups that are always kept. */
      keep: v.optional(count(1, 1000), 2),
      /** Every moment of so many days can be gone back to. */
      keepDays: v.optional(count(0, 3650), 7),
      /** Of the files, as PostgreSQL names them. */
      manifestChecksums: v.optional(v.picklist(['SHA256', 'CRC32C'])),
    }),
  ),
});

export type ClusterConfig = Omit<v.InferOutput<typeof cluster>, 'archive'> & { location: ArchiveLocation };

/** @throws UsageError CONFIG_INVALID, CONFIG_UNKNOWN_CLUSTER */
export function clusterConfig(config: Config, name: string): ClusterConfig {
  const raw = entry(config.walmgr, name);
  if (raw === undefined) {
    throw new UsageError('CONFIG_UNKNOWN_CLUSTER', `cluster "${name}" is not configured`, {
      subject: { cluster: name },
      hint: `add it under "walmgr" in skytools.config.ts; configured are: ${Object.keys(config.walmgr).join(', ') || 'none'}`,
    });
  }
  const result = v.safeParse(cluster, raw);
  if (!result.success) {
    const problems = result.issues.map(
      (issue) => `walmgr.${name}.${v.getDotPath(issue) ?? ''}: ${issue.message}`,
    );
    throw new UsageError('CONFIG_INVALID', `configuration refused: ${problems.join('; ')}`, {
      hint: 'correct the keys named; docs/reference/configuration.md lists them all',
    });
  }
  const { archive, ...rest } = result.output;
  if (rest.database !== undefined && !(rest.database in config.databases)) {
    throw new UsageError(
      'CONFIG_INVALID',
      `configuration refused: walmgr.${name}.database: database "${rest.database}" is not configured`,
      { hint: 'it names the database that holds schema walmgr: add it under "databases"' },
    );
  }
  return { ...rest, location: parseArchiveUrl(archive) };
}

/** The configured clusters whose progress lies in a database. */
export function clustersOf(config: Config, database: string): [string, ClusterConfig][] {
  return Object.keys(config.walmgr)
    .map((name): [string, ClusterConfig] => [name, clusterConfig(config, name)])
    .filter(([, cluster]) => cluster.database === database);
}

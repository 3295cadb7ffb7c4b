import { type Command, InvalidArgumentError } from 'commander';
import { UsageError } from '../../../platform/errors.ts';
import type { WalArchive } from '../../../walmgr/archive/archive.ts';
import type { ArchiveLocation } from '../../../walmgr/archive/location.ts';
import type { ClusterConfig } from '../../../walmgr/config.ts';
import type { ReplicationSource } from '../../../walmgr/replication/source.ts';
import type { CommandContext } from '../../context.ts';

/** Options that tell which archive is meant. */
export interface ArchiveOptions {
  archive?: string;
  cluster?: string;
}

/** Options that tell which server is archived. */
export interface SourceOptions extends ArchiveOptions {
  source?: string;
  level?: number;
}

export function withArchiveOptions(command: Command): Command {
  return command
    .option('--archive <url>', 's3://BUCKET/PREFIX; default: SKYTOOLS_WAL_ARCHIVE')
    .option('--cluster <name>', 'a cluster by its name in the configuration, instead of --archive');
}

export function withSourceOptions(command: Command): Command {
  return withArchiveOptions(command)
    .option('--source <url>', 'a user with REPLICATION on the server itself; default: that of the cluster')
    .option('--level <n>', 'zstd level, 1 to 22; default: that of the cluster, or 1', zstdLevel);
}

/** An option's parser for zstd levels. */
export function zstdLevel(text: string): number {
  const level = Number(text);
  if (Number.isInteger(level) && level >= 1 && level <= 22) return level;
  throw new InvalidArgumentError('not a whole number from 1 to 22');
}

/** What the configuration says about the cluster that is meant, if one is named. */
export async function clusterOf(
  context: CommandContext,
  options: ArchiveOptions,
): Promise<ClusterConfig | undefined> {
  if (options.cluster === undefined) return undefined;
  const { clusterConfig } = await import('../../../walmgr/config.ts');
  return clusterConfig(await context.config(), options.cluster);
}

/** Where the archive lies. @throws UsageError WAL_ARCHIVE_URL_INVALID */
export async function locationOf(context: CommandContext, options: ArchiveOptions): Promise<ArchiveLocation> {
  const { parseArchiveUrl } = await import('../../../walmgr/archive/location.ts');
  const cluster = await clusterOf(context, options);
  return cluster?.location ?? parseArchiveUrl(options.archive ?? context.io.env.SKYTOOLS_WAL_ARCHIVE);
}

/** Runs with an archive that exists. */
export async function withArchive<T>(
  context: CommandContext,
  options: ArchiveOptions,
  body: (archive: WalArchive, location: ArchiveLocation) => Promise<T>,
): Promise<T> {
  const { WalArchive } = await import('../../../walmgr/archive/archive.ts');
  const location = await locationOf(context, options);
  const archive = await WalArchive.open(location);
  try {
    return await body(archive, location);
  } finally {
    archive.store.close();
  }
}

/** Runs with a replication connection and the archive of its cluster, which is begun if need be. */
export async function withSource<T>(
  context: CommandContext,
  options: SourceOptions,
  body: (archive: WalArchive, source: ReplicationSource) => Promise<T>,
): Promise<T> {
  const [{ WalArchive }, { ReplicationSource }, { parseTarget }, { APPLICATION_NAME }] = await Promise.all([
    import('../../../walmgr/archive/archive.ts'),
    import('../../../walmgr/replication/source.ts'),
    import('../../../postgres/target.ts'),
    import('../../../walmgr/pull/pull.ts'),
  ]);
  const location = await locationOf(context, options);
  const source = await ReplicationSource.connect(
    parseTarget(await sourceText(context, options), context.io.env),
    APPLICATION_NAME,
  );
  try {
    const level = options.level ?? (await clusterOf(context, options))?.level;
    const archive = await WalArchive.claim(location, await source.identity(), {
      ...(level === undefined ? {} : { level }),
    });
    try {
      return await body(archive, source);
    } finally {
      archive.store.close();
    }
  } finally {
    await source.close();
  }
}

/** The server that `--source`, the cluster or libpq's variables name. @throws UsageError WAL_NO_SOURCE */
export async function sourceText(context: CommandContext, options: SourceOptions): Promise<string> {
  if (options.source !== undefined) return options.source;
  if (options.cluster !== undefined) {
    const [{ clusterConfig }, { resolveSecret }] = await Promise.all([
      import('../../../walmgr/config.ts'),
      import('../../../platform/secrets.ts'),
    ]);
    const { source } = clusterConfig(await context.config(), options.cluster);
    if (source !== undefined) return resolveSecret(source);
  }
  if (context.io.env.PGHOST ?? context.io.env.PGSERVICE) return '';
  throw new UsageError('WAL_NO_SOURCE', 'no server is named', {
    hint: "give --source postgres://USER@HOST/postgres, or set libpq's PGHOST",
  });
}

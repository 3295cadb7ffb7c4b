import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type EmbeddedPostgres, embeddedBinaries, startPostgres } from '../../lib/local/postgres.ts';
import { WalArchive } from '../../lib/walmgr/archive/archive.ts';
import { ReplicationSource } from '../../lib/walmgr/replication/source.ts';
import { type RestoreOptions, restore } from '../../lib/walmgr/restore/restore.ts';
import type { TestArchive } from './archive.ts';

export const TEST_MAJOR = Number(process.env.SKYTOOLS_TEST_PG ?? 18);

/** A cluster of its own whose WAL is archived. */
export interface Cluster {
  server: EmbeddedPostgres;
  client: pg.Client;
  query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    text: string,
    values?: unknown[],
  ): Promise<Row[]>;
  source(): Promise<ReplicationSource>;
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
}

const opened = new Set<() => Promise<void>>();

/** Stops what a test file started. */
export async function stopAll(): Promise<void> {
  for (const stop of [...opened].reverse()) await stop().catch(() => {});
  opened.clear();
}

async function clusterOf(server: EmbeddedPostgres, cleanUp: () => void = () => {}): Promise<Cluster> {
  const client = new pg.Client({ connectionString: server.url() });
  client.on('error', () => {});
  await client.connect();
  const stop = async (mode?: 'fast' | 'immediate') => {
    opened.delete(stop);
    await client.end().catch(() => {});
    await server.stop(mode ?? 'immediate');
    cleanUp();
  };
  opened.add(stop);
  return {
    server,
    client,
    query: async <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) =>
      (await client.query<Row>(text, values)).rows,
    source: () => ReplicationSource.connect(server.url(), 'skytools_archive'),
    stop,
  };
}

/** Starts a cluster. `archiveCommand` switches archiving on. */
export async function startCluster(
  options: {
    archiveCommand?: string;
    settings?: Record<string, string | number>;
    initdb?: string[];
    /** An existing one. */
    dataDirectory?: string;
  } = {},
): Promise<Cluster> {
  const server = await startPostgres({
    binaries: embeddedBinaries(TEST_MAJOR),
    ...(options.initdb ? { initdb: options.initdb } : {}),
    ...(options.dataDirectory ? { dataDirectory: options.dataDirectory } : {}),
    settings: {
      wal_level: 'replica',
      full_page_writes: true,
      synchronous_commit: 'on',
      shared_buffers: '16MB',
      ...(options.archiveCommand ? { archive_mode: 'on', archive_command: options.archiveCommand } : {}),
      ...options.settings,
    },
  });
  return clusterOf(server);
}

/** Restores a backup into a new directory and starts a server on it. */
export async function recover(
  archive: TestArchive,
  prefix: string,
  options: Partial<RestoreOptions> & { settings?: Record<string, string | number> } = {},
): Promise<Cluster> {
  const home = mkdtempSync('/tmp/skytools-restore-');
  chmodSync(home, 0o755);
  const to = options.to ?? `${home}/data`;
  const store = archive.store();
  try {
    await restore(await WalArchive.open(archive.location(prefix), store), {
      fetchCommand: `${archive.command} wal fetch --archive ${archive.url(prefix)} --unfinished %f %p`,
      sync: false,
      ...options,
      to,
    });
  } finally {
    store.close();
  }
  giveToPostgres(home);
  for (const place of Object.values(options.tablespaceMap ?? {})) giveToPostgres(place);
  const cluster = await startRestored(to, options, () => rmSync(home, { recursive: true, force: true }));
  if (!options.standby) await recovered(cluster);
  return cluster;
}

/** Starts a server on what a restore made. */
export async function startRestored(
  to: string,
  options: { settings?: Record<string, string | number> } = {},
  cleanUp?: () => void,
): Promise<Cluster> {
  const server = await startPostgres({
    binaries: embeddedBinaries(TEST_MAJOR),
    dataDirectory: to,
    settings: {
      full_page_writes: true,
      synchronous_commit: 'on',
      shared_buffers: '16MB',
      ...options.settings,
    },
  });
  return clusterOf(server, cleanUp);
}

/** Waits until a server has reached its target and takes writes. */
export async function recovered(cluster: Cluster): Promise<void> {
  await until('the end of recovery', async () => {
    const [row] = await cluster.query<{ recovering: boolean }>('select pg_is_in_recovery() as recovering');
    return row?.recovering === false;
  });
}

/** Embedded PostgreSQL runs as another account when we are root. */
export function giveToPostgres(directory: string): void {
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', 'postgres', directory]);
}

/** Waits for something that takes an unknown but short time. The archiver tries again a minute after its third failure. */
export async function until(what: string, check: () => Promise<boolean>, timeoutMs = 100_000): Promise<void> {
  for (const startedAt = performance.now(); !(await check()); ) {
    if (performance.now() - startedAt > timeoutMs) throw new Error(`waited too long for ${what}`);
    await sleep(25);
  }
}

/** One number for the whole content of a table. */
export async function checksum(cluster: Cluster, table: string): Promise<string> {
  const [row] = await cluster.query<{ sum: string }>(
    `select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) as sum from ${table} t`,
  );
  return row!.sum;
}

/**
 * Waits until everything written so far is archived by archive_command. Where the last segment has just been ended, the switch
 * answers where the next one begins: the byte before it is in the segment that is meant.
 */
export async function archived(cluster: Cluster): Promise<void> {
  const [row] = await cluster.query<{ name: string }>('select pg_walfile_name(pg_switch_wal() - 1) as name');
  const isArchived = async () => {
    const [stat] = await cluster.query<{ last: string | null }>(
      'select last_archived_wal as last from pg_stat_archiver',
    );
    return (stat?.last ?? '') >= row!.name;
  };
  await until('the archiver', isArchived).catch((error: Error) => {
    throw new Error(`${error.message}; the server says: ${cluster.server.log().slice(-3000)}`);
  });
}

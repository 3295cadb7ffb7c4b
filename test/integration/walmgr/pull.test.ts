import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { WalArchive } from '../../../lib/walmgr/archive/archive.ts';
import { listLive, liveCoverage } from '../../../lib/walmgr/archive/live.ts';
import { takeBackup } from '../../../lib/walmgr/backup/take.ts';
import { type PullOptions, type PullResult, pullWal } from '../../../lib/walmgr/pull/pull.ts';
import { planRestore } from '../../../lib/walmgr/restore/plan.ts';
import { readHistory } from '../../../lib/walmgr/restore/target.ts';
import { checkArchive } from '../../../lib/walmgr/verify.ts';
import { neighbour } from '../../../lib/walmgr/wal/name.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import {
  archived,
  type Cluster,
  checksum,
  recover,
  startCluster,
  stopAll,
  until,
} from '../../support/cluster.ts';
import { makeSegment } from '../../support/wal-files.ts';

/** Run with SKYTOOLS_TEST_LONG=1, as CI does. */
const longTest = test.skipIf(!process.env.SKYTOOLS_TEST_LONG);

let s3: TestArchive;

beforeAll(async () => {
  s3 = await startArchive();
});
afterEach(async () => {
  s3.emulator.faults.clear();
  await stopAll();
});
afterAll(() => s3.close());

const SMALL = { initdb: ['--wal-segsize=1'], settings: { min_wal_size: '2MB', max_wal_size: '4MB' } };

async function open(cluster: Cluster, prefix: string): Promise<WalArchive> {
  const source = await cluster.source();
  try {
    return await WalArchive.claim(s3.location(prefix), await source.identity(), { store: s3.store() });
  } finally {
    await source.close();
  }
}

async function pull(
  cluster: Cluster,
  archive: WalArchive,
  options: Partial<PullOptions> = {},
): Promise<PullResult> {
  const source = await cluster.source();
  try {
    return await pullWal(archive, source, { slot: 'archive', deadline: Deadline.after(120_000), ...options });
  } finally {
    await source.close();
  }
}

async function backup(cluster: Cluster, archive: WalArchive): Promise<void> {
  const source = await cluster.source();
  await takeBackup(archive, source, { fast: true });
  await source.close();
}

const fill = (cluster: Cluster, rows = 20_000) =>
  cluster.query(`insert into t select md5(g::text) from generate_series(1, ${rows}) g`);

test('pulled segments are the server’s own, byte for byte, and pulling again changes nothing', async () => {
  const cluster = await startCluster({ settings: { wal_keep_size: '1GB' } });
  const archive = await open(cluster, 'bytes');
  expect((await pull(cluster, archive)).next).toBe('idle');
  await cluster.query('create table t (x text)');
  await fill(cluster, 300_000);
  await cluster.query('select pg_switch_wal()');
  const first = await pull(cluster, archive);
  expect(first.did.segments).toBeGreaterThanOrEqual(2);
  for await (const { key } of archive.store.list(archive.keys.wal)) {
    const name = key.slice(key.lastIndexOf('/') + 1);
    const original = await readFile(`${cluster.server.dataDirectory}/pg_wal/${name}`);
    expect((await archive.readFile(name))?.equals(original)).toBe(true);
  }
  expect((await pull(cluster, archive)).did.segments).toBe(0);
});

test('what was committed a moment before the host burned comes back', async () => {
  const cluster = await startCluster();
  const archive = await open(cluster, 'burn');
  await cluster.query('create table t (x text)');
  await pull(cluster, archive);
  await backup(cluster, archive);
  const running = pull(cluster, archive, { follow: true, liveEveryMs: 200 }).catch(() => undefined);
  await fill(cluster, 1000);
  const [at] = await cluster.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  await until('the pieces of the last segment', async () => {
    const [slot] = await cluster.query<{ done: boolean }>(
      'select restart_lsn >= $1::pg_lsn as done from pg_replication_slots',
      [at!.lsn],
    );
    return slot?.done === true;
  });
  const before = await checksum(cluster, 't');
  await cluster.stop('immediate');
  await running;
  const copy = await recover(s3, 'burn');
  expect(await checksum(copy, 't')).toBe(before);
});

longTest('the slot holds back whatever is not yet durable, while the store is down', async () => {
  const cluster = await startCluster(SMALL);
  const archive = await open(cluster, 'down');
  await cluster.query('create table t (x text)');
  await pull(cluster, archive);
  const lift = s3.emulator.faults.add({
    operation: 'PutObject',
    resource: /down\/\d+\/wal\//,
    fault: { kind: 'status', status: 503, code: 'SlowDown' },
  });
  await fill(cluster);
  const refused = () => s3.emulator.faults.counts()['PutObject status'] ?? 0;
  const before = refused();
  const running = pull(cluster, archive);
  await until('refusals', async () => refused() > before + 1);
  const [slot] = await cluster.query<{ held: boolean }>(
    'select pg_current_wal_flush_lsn() - restart_lsn > 1048576 as held from pg_replication_slots',
  );
  expect(slot?.held).toBe(true);
  expect(lift()).toBeGreaterThan(0);
  await running;
  expect((await checkArchive(archive)).gaps).toEqual([]);
});

test('killed again and again, by its network and by its store, it leaves no gap', async () => {
  const cluster = await startCluster(SMALL);
  const archive = await open(cluster, 'killed');
  await cluster.query('create table t (x text)');
  await pull(cluster, archive);
  for (let round = 0; round < 6; round++) {
    await fill(cluster, 30_000);
    const source = await cluster.source();
    const stopAt = round * 2 + 1;
    let stored = 0;
    await pullWal(archive, source, {
      slot: 'archive',
      deadline: Deadline.after(120_000),
      onStored: () => {
        stored++;
        // The socket goes without a word, as when a function is killed.
        const { connection } = source.client as unknown as { connection: { stream: { destroy(): void } } };
        if (stored === stopAt) connection.stream.destroy();
      },
    }).catch(() => undefined);
    await source.close();
    await cluster.query('select pg_terminate_backend(active_pid) from pg_replication_slots where active');
    await until('the slot', async () => {
      const [row] = await cluster.query<{ active: boolean }>('select active from pg_replication_slots');
      return row?.active === false;
    });
  }
  await pull(cluster, archive);
  const report = await checkArchive(archive);
  expect(report.gaps).toEqual([]);
  expect(report.segments).toBeGreaterThan(10);
});

longTest('a second pull of one slot ends at once and changes nothing', async () => {
  const cluster = await startCluster();
  const archive = await open(cluster, 'busy');
  await pull(cluster, archive);
  const stop = new AbortController();
  const running = pull(cluster, archive, { follow: true, deadline: Deadline.whenAborted(stop.signal) });
  await until('the first pull', async () => {
    const [row] = await cluster.query<{ active: boolean }>('select active from pg_replication_slots');
    return row?.active === true;
  });
  await expect(pull(cluster, archive)).rejects.toMatchObject({ code: 'UNIT_BUSY' });
  stop.abort();
  await running;
});

longTest('a server that is stopped does not wait for its archive, which has everything then', async () => {
  const cluster = await startCluster();
  const archive = await open(cluster, 'stop');
  await cluster.query('create table t (x text)');
  await pull(cluster, archive);
  const running = pull(cluster, archive, { follow: true, liveEveryMs: 60_000 }).catch(() => undefined);
  await until('the pull', async () => {
    const [row] = await cluster.query<{ active: boolean }>('select active from pg_replication_slots');
    return row?.active === true;
  });
  await fill(cluster, 1000);
  const [last] = await cluster.query<{ segment: string; offset: number }>(
    'select file_name as segment, file_offset as offset from pg_walfile_name_offset(pg_current_wal_flush_lsn())',
  );
  await cluster.client.end();
  await cluster.server.halt('fast');
  // Without the answers to its last keepalives it would wait for wal_sender_timeout, and say so.
  expect(cluster.server.log()).not.toContain('replication timeout');
  await running;
  // No piece was due for a minute: what was committed is there because the server, on its way down, asked for it.
  const covered = liveCoverage(await listLive(archive, last!.segment));
  expect(covered).toBeGreaterThanOrEqual(last!.offset);
});

test('a first pull that was killed with its second segment stored and not its first leaves no hole', async () => {
  const cluster = await startCluster(SMALL);
  const archive = await open(cluster, 'first');
  await cluster.query('create table t (x text)');
  await pull(cluster, archive);
  const [at] = await cluster.query<{ name: string }>('select pg_walfile_name(pg_current_wal_lsn()) as name');
  await fill(cluster, 30_000);
  const second = neighbour(at!.name, 1, archive.identity.segmentSize);
  await archive.storeFile(second, `${cluster.server.dataDirectory}/pg_wal/${second}`, '');
  await pull(cluster, archive);
  const { ranges } = await checkArchive(archive);
  expect(ranges).toMatchObject([{ first: at!.name }]);
});

test('a server whose wal differs from what is archived is stopped at the first segment, and the slot keeps it', async () => {
  const cluster = await startCluster(SMALL);
  const archive = await open(cluster, 'split');
  await cluster.query('create table t (x text)');
  await pull(cluster, archive);
  const [at] = await cluster.query<{ name: string; lsn: string }>(
    'select pg_walfile_name(pg_current_wal_lsn()) as name, pg_current_wal_lsn()::text as lsn',
  );
  // As a former primary would that was not stopped.
  const other = neighbour(at!.name, 1, archive.identity.segmentSize);
  await archive.storeFile(other, makeSegment(other, archive.identity), '');
  await fill(cluster, 30_000);
  await expect(pull(cluster, archive)).rejects.toMatchObject({ code: 'WAL_CONFLICT' });
  const [slot] = await cluster.query<{ held: boolean }>(
    'select restart_lsn <= $1::pg_lsn + 2 * 1048576 as held from pg_replication_slots',
    [at!.lsn],
  );
  expect(slot?.held).toBe(true);
});

test('wal the server has thrown away is reported as a gap, never passed over', async () => {
  const cluster = await startCluster({
    ...SMALL,
    settings: { ...SMALL.settings, max_slot_wal_keep_size: '2MB' },
  });
  const archive = await open(cluster, 'lost');
  await cluster.query('create table t (x text)');
  await pull(cluster, archive);
  await cluster.query('select pg_switch_wal()');
  await pull(cluster, archive);
  for (let round = 0; round < 4; round++) {
    await fill(cluster, 30_000);
    await cluster.query('checkpoint');
  }
  const result = await pull(cluster, archive);
  expect(result.gaps).toHaveLength(1);
  await cluster.query('select pg_switch_wal()');
  await pull(cluster, archive);
  expect((await checkArchive(archive)).gaps).toHaveLength(1);
});

test('a fork of timelines is followed, and both sides can be recovered', async () => {
  const cluster = await startCluster(SMALL);
  const archive = await open(cluster, 'fork');
  await cluster.query('create table t (x text)');
  await pull(cluster, archive);
  await backup(cluster, archive);
  await cluster.query("insert into t values ('both')");
  const [fork] = await cluster.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
  await cluster.query("insert into t values ('old')");
  await fill(cluster, 5000);
  await pull(cluster, archive);
  const old = await checksum(cluster, 't');
  await cluster.stop('immediate');

  const promoted = await recover(s3, 'fork', { target: { lsn: fork!.lsn } });
  await promoted.query("insert into t values ('new')");
  await fill(promoted, 5000);
  await pull(promoted, archive);
  const young = await checksum(promoted, 't');
  await promoted.stop('immediate');
  expect((await checkArchive(archive)).gaps).toEqual([]);

  const latest = await recover(s3, 'fork');
  expect(await checksum(latest, 't')).toBe(young);
  await latest.stop('immediate');
  const abandoned = await recover(s3, 'fork', { target: { timeline: 1 } });
  expect(await checksum(abandoned, 't')).toBe(old);
});

longTest(
  'a fork exactly on a segment boundary is archived by push and by pull, and recovered across',
  async () => {
    const pushTo = `${s3.command} wal push --archive ${s3.url('edge-push')} %p`;
    const cluster = await startCluster({ ...SMALL, archiveCommand: pushTo });
    const pulled = await open(cluster, 'edge-pull');
    const pushed = await open(cluster, 'edge-push');
    await cluster.query('create table t (x text)');
    await pull(cluster, pulled);
    await backup(cluster, pulled);
    await backup(cluster, pushed);
    await cluster.query("insert into t values ('both')");
    const both = await checksum(cluster, 't');
    // The server may write into the new segment by itself before it is pulled: then the next one is tried.
    await until('an archive that ends on a boundary', async () => {
      await cluster.query('select pg_switch_wal()');
      await pull(cluster, pulled);
      return (await planRestore(pulled, { to: '/nowhere/data' })).wal.unfinished === undefined;
    });
    await cluster.query("insert into t values ('old')");
    await archived(cluster);
    const old = await checksum(cluster, 't');
    await cluster.stop('immediate');

    // The old timeline is at its end where the archive is: the server has nothing of it to send.
    const copy = await recover(s3, 'edge-pull');
    await copy.query('alter system set archive_mode = on');
    await copy.client.end();
    await copy.server.halt('fast');
    const { dataDirectory } = copy.server;
    const promoted = await startCluster({ ...SMALL, archiveCommand: pushTo, dataDirectory });
    await promoted.query("insert into t values ('new')");
    await pull(promoted, pulled);
    await promoted.query("insert into t values ('newer')");
    await archived(promoted);
    await pull(promoted, pulled);
    const young = await checksum(promoted, 't');
    await promoted.stop('immediate');

    for (const archive of [pushed, pulled]) {
      const { ancestors } = await readHistory(archive, 2);
      expect(ancestors).toEqual([{ timeline: 1, end: expect.any(BigInt) }]);
      expect(ancestors[0]!.end % BigInt(archive.identity.segmentSize)).toBe(0n);
      expect(await checkArchive(archive)).toMatchObject({ gaps: [], timelines: [1, 2] });
      expect((await planRestore(archive, { to: '/nowhere/data' })).wal.missing).toEqual([]);
    }
    for (const [prefix, abandoned] of [
      ['edge-push', old],
      ['edge-pull', both],
    ] as const) {
      const latest = await recover(s3, prefix);
      expect(await checksum(latest, 't')).toBe(young);
      await latest.stop();
      const other = await recover(s3, prefix, { target: { timeline: 1 } });
      expect(await checksum(other, 't')).toBe(abandoned);
      await other.stop();
    }
  },
  300_000,
);

import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startPostgres, systemBinaries } from '../../../lib/local/postgres.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { WalArchive } from '../../../lib/walmgr/archive/archive.ts';
import { ArchiveKeys } from '../../../lib/walmgr/archive/location.ts';
import { listBackups } from '../../../lib/walmgr/backup/record.ts';
import { takeBackup } from '../../../lib/walmgr/backup/take.ts';
import { fetchWal } from '../../../lib/walmgr/fetch/fetch.ts';
import { pullWal } from '../../../lib/walmgr/pull/pull.ts';
import { ReplicationSource } from '../../../lib/walmgr/replication/source.ts';
import { restore } from '../../../lib/walmgr/restore/restore.ts';
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
import { MADE_UP, makeSegment } from '../../support/wal-files.ts';

/* What test/integration/walmgr/README.md lists and no other file holds. */

/** Run with SKYTOOLS_TEST_LONG=1, as CI does. */
const isLong = Boolean(process.env.SKYTOOLS_TEST_LONG);
const longTest = test.skipIf(!isLong);
const run = promisify(execFile);
const FIRST = '000000010000000000000005';

let s3: TestArchive;

beforeAll(async () => {
  s3 = await startArchive();
});
afterEach(async () => {
  s3.emulator.faults.clear();
  await stopAll();
});
afterAll(() => s3.close());

async function claim(cluster: Cluster, prefix: string): Promise<WalArchive> {
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
  deadline = Deadline.after(60_000),
  follow = false,
) {
  const source = await cluster.source();
  try {
    return await pullWal(archive, source, { slot: 'acceptance', deadline, follow, liveEveryMs: 200 });
  } finally {
    await source.close();
  }
}

async function backup(cluster: Cluster, archive: WalArchive, waitForWalMs = 60_000): Promise<void> {
  const source = await cluster.source();
  await takeBackup(archive, source, { fast: true, waitForWalMs });
  await source.close();
}

const pushTo = (prefix: string) => `${s3.command} wal push --archive ${s3.url(prefix)} %p`;

/** The same for all of them: a made-up one is another each time. */
const segment = makeSegment(FIRST, { seed: 1 });

test.each([
  ['500', { kind: 'status', status: 500, code: 'InternalError' }],
  ['503', { kind: 'status', status: 503, code: 'SlowDown' }],
  ['silence', { kind: 'silence' }],
  ['a cut connection', { kind: 'reset' }],
  ['transfers that break off', { kind: 'truncate' }],
] as const)(
  'a store that answers with %s is never taken for the end of the archive',
  async (_what, fault) => {
    const stored = await WalArchive.claim(s3.location('fetch'), MADE_UP, { store: s3.store() });
    await stored.storeFile(FIRST, segment, '/tmp');
    const store = s3.store({ retryForMs: 300, idleTimeoutMs: 200 });
    const archive = new WalArchive(store, new ArchiveKeys(s3.location('fetch')), stored.identity);
    s3.emulator.faults.add({ operation: 'GetObject', resource: /fetch\/.*wal\//, fault });
    const directory = mkdtempSync(path.join(s3.directory, 'fetch-'));
    await expect(
      fetchWal(async () => archive, FIRST, path.join(directory, 'RECOVERYXLOG')),
    ).rejects.toMatchObject({
      retryable: true,
    });
    expect(await readdir(directory)).toEqual([]);
    store.close();
    stored.store.close();
  },
);

test('an object that vanishes between refusal and comparison is stored after all', async () => {
  const archive = await WalArchive.claim(s3.location('vanish'), MADE_UP, { store: s3.store() });
  const name = neighbour(FIRST, 9, MADE_UP.segmentSize);
  s3.emulator.faults.add({
    operation: 'PutObject',
    resource: /vanish\/.*wal\//,
    fault: { kind: 'status', status: 412, code: 'PreconditionFailed' },
    count: 1,
  });
  expect(await archive.storeFile(name, makeSegment(name), '/tmp')).toMatchObject({ outcome: 'stored' });
});

longTest(
  'pushes killed at any moment lose nothing: the same calls again archive every file as it is',
  async () => {
    const archive = await WalArchive.claim(s3.location('kill'), MADE_UP, { store: s3.store() });
    const directory = mkdtempSync(path.join(s3.directory, 'kill-'));
    const { mkdir, writeFile } = await import('node:fs/promises');
    await mkdir(path.join(directory, 'pg_wal/archive_status'), { recursive: true });
    const names = Array.from({ length: 12 }, (_, index) => neighbour(FIRST, index, MADE_UP.segmentSize));
    const bytes = new Map(names.map((name) => [name, makeSegment(name)]));
    for (const [name, content] of bytes) {
      await writeFile(path.join(directory, 'pg_wal', name), content);
      await writeFile(path.join(directory, 'pg_wal/archive_status', `${name}.ready`), '');
    }
    const words = (name: string) => ['wal', 'push', '--archive', s3.url('kill'), `pg_wal/${name}`];
    for (let round = 0; round < 12; round++) {
      const child = spawn(s3.command, words(names[round]!), { cwd: directory, stdio: 'ignore' });
      // A quick machine may be done before it is killed.
      const over = new Promise((resolve) => child.once('exit', resolve));
      await sleep(20 + round * 25);
      child.kill('SIGKILL');
      await over;
    }
    for (const name of names) await run(s3.command, words(name), { cwd: directory });
    for (const name of names) expect((await archive.readFile(name))?.equals(bytes.get(name)!)).toBe(true);
  },
);

longTest('backups killed at any moment are no backups, and the next one is', async () => {
  const cluster = await startCluster({ archiveCommand: pushTo('killed'), initdb: ['--wal-segsize=1'] });
  const archive = await claim(cluster, 'killed');
  await cluster.query('create table t as select g, md5(g::text) from generate_series(1, 200000) g');
  const words = ['dist/cli/main.mjs', 'wal', 'backup', '--quiet', '--source', cluster.server.url()];
  const env = { ...process.env, ...s3.env, SKYTOOLS_WAL_ARCHIVE: s3.url('killed') };
  for (const afterMs of [200, 350, 500, 650]) {
    const child = spawn(process.execPath, words, { env, stdio: 'ignore' });
    const over = new Promise((resolve) => child.once('exit', resolve));
    await sleep(afterMs);
    child.kill('SIGKILL');
    await over;
    // Names have seconds.
    await sleep(1000);
  }
  await backup(cluster, archive);
  for (const record of await listBackups(archive)) expect(record.problem).toBeUndefined();
  const copy = await recover(s3, 'killed', { target: { immediate: true } });
  expect(await checksum(copy, 't')).toBe(await checksum(cluster, 't'));
});

longTest('a standby promoted while it is pulled is followed to its new timeline without a gap', async () => {
  const primary = await startCluster({ archiveCommand: pushTo('standby'), initdb: ['--wal-segsize=1'] });
  await primary.query('create table t (x text)');
  const pushed = await claim(primary, 'standby');
  await backup(primary, pushed);
  const standby = await recover(s3, 'standby', {
    standby: { primary: `host=127.0.0.1 port=${primary.server.port} user=postgres` },
  });
  const archive = await claim(standby, 'promoted');
  const stop = new AbortController();
  const pulling = pull(standby, archive, Deadline.whenAborted(stop.signal), true);
  await primary.query('insert into t select md5(g::text) from generate_series(1, 30000) g');
  await until('the standby', async () => (await checksum(standby, 't')) === (await checksum(primary, 't')));
  await until('the old timeline', async () => (await checkArchive(archive)).timelines.includes(1));
  await standby.query('select pg_promote()');
  await standby.query('insert into t select md5(g::text) from generate_series(1, 30000) g');
  await standby.query('select pg_switch_wal()');
  await until('the new timeline', async () => (await checkArchive(archive)).timelines.includes(2));
  await sleep(1000);
  stop.abort();
  await pulling;
  await pull(standby, archive);
  const report = await checkArchive(archive);
  expect(report.gaps).toEqual([]);
  expect(report.timelines).toEqual([1, 2]);
});

longTest(
  'promotion in the middle of a segment: history, .partial and the first new segment are stored, both branches recoverable',
  async () => {
    const primary = await startCluster({ archiveCommand: pushTo('partial'), initdb: ['--wal-segsize=1'] });
    await primary.query('create table t (x text)');
    const archive = await claim(primary, 'partial');
    await backup(primary, archive);
    const restored = await recover(s3, 'partial', {
      standby: { primary: `host=127.0.0.1 port=${primary.server.port} user=postgres` },
    });
    // As its next steps say, for the time after its promotion.
    await restored.query('alter system set archive_mode = on');
    await restored.server.halt('fast');
    const { dataDirectory } = restored.server;
    const standby = await startCluster({ dataDirectory, archiveCommand: pushTo('partial') });
    await primary.query("insert into t values ('both')");
    await until('the standby', async () => (await checksum(standby, 't')) === (await checksum(primary, 't')));
    const old = await checksum(primary, 't');
    await primary.stop('immediate');
    await standby.query('select pg_promote()');
    await standby.query("insert into t values ('new')");
    await archived(standby);
    const young = await checksum(standby, 't');
    await standby.stop('immediate');
    const names: string[] = [];
    for await (const { key } of archive.store.list(archive.keys.root)) names.push(key.split('/').at(-1)!);
    expect(names).toContain('00000002.history');
    expect(names.some((name) => name.endsWith('.partial'))).toBe(true);
    expect((await checkArchive(archive)).gaps).toEqual([]);
    const latest = await recover(s3, 'partial');
    expect(await checksum(latest, 't')).toBe(young);
    await latest.stop();
    const abandoned = await recover(s3, 'partial', { target: { timeline: 1 } });
    expect(await checksum(abandoned, 't')).toBe(old);
  },
);

longTest.each([64, 1024])('segments of %i MB are pulled, backed up and recovered from', async (megabytes) => {
  const cluster = await startCluster({
    initdb: [`--wal-segsize=${megabytes}`],
    settings: { min_wal_size: `${megabytes * 2}MB`, max_wal_size: `${megabytes * 4}MB` },
  });
  const archive = await claim(cluster, `size${megabytes}`);
  await cluster.query('create table t (x text)');
  await pull(cluster, archive);
  await backup(cluster, archive, 0);
  await cluster.query('insert into t select md5(g::text) from generate_series(1, 50000) g');
  await cluster.query('select pg_switch_wal()');
  const { did } = await pull(cluster, archive);
  expect(did.segments).toBeGreaterThanOrEqual(1);
  const before = await checksum(cluster, 't');
  await cluster.stop('immediate');
  const copy = await recover(s3, `size${megabytes}`);
  expect(await checksum(copy, 't')).toBe(before);
});

longTest('a pull that hears nothing for longer than wal_sender_timeout stays alive', async () => {
  const cluster = await startCluster();
  const archive = await claim(cluster, 'idle');
  const stop = new AbortController();
  const pulling = pull(cluster, archive, Deadline.whenAborted(stop.signal), true);
  const pid = async () =>
    (await cluster.query<{ pid: number | null }>('select active_pid as pid from pg_replication_slots'))[0]
      ?.pid;
  await until('the pull', async () => Boolean(await pid()));
  const begun = await pid();
  await sleep(20_000);
  expect(await pid()).toBe(begun);
  stop.abort();
  await pulling;
});

const debian = systemBinaries(15);

test.skipIf(!isLong || !debian)(
  'a backup taken under load passes pg_verifybackup, and pg_amcheck once it is recovered',
  async () => {
    const home = mkdtempSync('/tmp/skytools-busy-');
    const server = await startPostgres({
      binaries: debian!,
      settings: {
        wal_level: 'replica',
        full_page_writes: true,
        archive_mode: 'on',
        archive_command: pushTo('busy'),
      },
    });
    let copy: Awaited<ReturnType<typeof startPostgres>> | undefined;
    try {
      const tool = (name: string) => path.join(debian!.bin, name);
      await run(tool('pgbench'), ['-q', '-i', '-s', '5', server.url()], { maxBuffer: 1 << 26 });
      const load = run(tool('pgbench'), ['-n', '-c', '2', '-T', '6', server.url()]);
      const source = await ReplicationSource.connect(server.url(), 'skytools_archive');
      const archive = await WalArchive.claim(s3.location('busy'), await source.identity(), {
        store: s3.store(),
      });
      await takeBackup(archive, source, { fast: true });
      await source.close();
      await load;
      const client = new pg.Client({ connectionString: server.url() });
      await client.connect();
      const { rows } = await client.query('select pg_walfile_name(pg_switch_wal() - 1) as name');
      await until('the archiver', async () => {
        const { rows: stat } = await client.query('select last_archived_wal as last from pg_stat_archiver');
        return (stat[0].last ?? '') >= rows[0].name;
      });
      await client.end();
      const to = path.join(home, 'data');
      await restore(archive, {
        to,
        sync: false,
        fetchCommand: `${s3.command} wal fetch --archive ${s3.url('busy')} %f %p`,
      });
      await run(tool('pg_verifybackup'), ['-n', to]);
      await run('chmod', ['755', home]);
      if (process.getuid?.() === 0) await run('chown', ['-R', 'postgres', home]);
      copy = await startPostgres({
        binaries: debian!,
        dataDirectory: to,
        settings: { full_page_writes: true },
      });
      const restored = new pg.Client({ connectionString: copy.url() });
      await restored.connect();
      await until('the end of recovery', async () => {
        const { rows: state } = await restored.query('select pg_is_in_recovery() as yes');
        return state[0].yes === false;
      });
      await restored.query('create extension amcheck');
      await restored.end();
      const where = ['--host=127.0.0.1', `--port=${copy.port}`, '--username=postgres'];
      await run(tool('pg_amcheck'), ['--heapallindexed', ...where, '--database=postgres']);
      expect((await readFile(path.join(to, 'backup_manifest'), 'utf8')).length).toBeGreaterThan(0);
    } finally {
      await copy?.halt('immediate');
      await server.stop('immediate');
      rmSync(home, { recursive: true, force: true });
    }
  },
);

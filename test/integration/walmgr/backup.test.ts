import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { WalArchive } from '../../../lib/walmgr/archive/archive.ts';
import { compress, sha256 } from '../../../lib/walmgr/archive/codec.ts';
import { FRAME_BYTES } from '../../../lib/walmgr/backup/blocks.ts';
import type { ManifestFile } from '../../../lib/walmgr/backup/manifest.ts';
import { listBackups } from '../../../lib/walmgr/backup/record.ts';
import { type BackupOptions, type BackupResult, takeBackup } from '../../../lib/walmgr/backup/take.ts';
import { ReplicationSource } from '../../../lib/walmgr/replication/source.ts';
import { extractVolume } from '../../../lib/walmgr/restore/extract.ts';
import { restore } from '../../../lib/walmgr/restore/restore.ts';
import { chooseBackup } from '../../../lib/walmgr/restore/target.ts';
import { expire, planExpiry } from '../../../lib/walmgr/retention.ts';
import { checkArchive } from '../../../lib/walmgr/verify.ts';
import { parseWalName } from '../../../lib/walmgr/wal/name.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import {
  archived,
  type Cluster,
  checksum,
  giveToPostgres,
  recover,
  startCluster,
  stopAll,
  until,
} from '../../support/cluster.ts';
import { MADE_UP } from '../../support/wal-files.ts';

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

const pushTo = (prefix: string) => `${s3.command} wal push --archive ${s3.url(prefix)} %p`;

async function backup(
  cluster: Cluster,
  prefix: string,
  options: BackupOptions = {},
): Promise<{ archive: WalArchive; result: BackupResult }> {
  const source = await cluster.source();
  try {
    const archive = await WalArchive.claim(s3.location(prefix), await source.identity(), {
      store: s3.store({ retryForMs: 3000 }),
    });
    return {
      archive,
      result: await takeBackup(archive, source, { fast: true, waitForWalMs: 60_000, ...options }),
    };
  } finally {
    await source.close();
  }
}

test('tablespaces come back in another place, with small segments, many volumes and sha-256 in the manifest', async () => {
  const cluster = await startCluster({ archiveCommand: pushTo('space'), initdb: ['--wal-segsize=1'] });
  const place = mkdtempSync('/tmp/skytools-space-');
  giveToPostgres(place);
  await cluster.query(`create tablespace elsewhere location '${place}'`);
  await cluster.query(
    'create table t tablespace elsewhere as select g, md5(g::text) from generate_series(1, 50000) g',
  );
  const before = await checksum(cluster, 't');
  const { result } = await backup(cluster, 'space', {
    volumeBytes: 2 << 20,
    checksums: 'SHA256',
  });
  expect(result.missing).toEqual([]);
  expect(result.did.tablespaces).toEqual([{ oid: expect.any(String), location: place }]);
  await cluster.stop();

  const moved = mkdtempSync('/tmp/skytools-moved-');
  chmodSync(moved, 0o755);
  await expect(recover(s3, 'space', { tablespaceMap: { '/nowhere': moved } })).rejects.toMatchObject({
    code: 'WAL_TABLESPACE_UNKNOWN',
  });
  const copy = await recover(s3, 'space', { tablespaceMap: { [place]: moved }, target: { immediate: true } });
  expect(await checksum(copy, 't')).toBe(before);
  expect(
    await copy.query(
      "select pg_tablespace_location(oid) as at from pg_tablespace where spcname = 'elsewhere'",
    ),
  ).toEqual([{ at: moved }]);
});

test('a backup whose wal never arrived is listed as waiting, and recovery does not begin with it', async () => {
  const cluster = await startCluster();
  const { archive, result } = await backup(cluster, 'waiting', { waitForWalMs: 0 });
  expect(result.missing.length).toBeGreaterThan(0);
  expect((await checkArchive(archive)).backups[0]?.state).toBe('waiting');
  await expect(chooseBackup(archive, {})).rejects.toMatchObject({ code: 'WAL_NO_BACKUP_FOR_TARGET' });
});

longTest('a page with a wrong checksum marks the set as bad', async () => {
  const cluster = await startCluster({ archiveCommand: pushTo('pages'), initdb: ['--data-checksums'] });
  await cluster.query('create table t as select g, md5(g::text) from generate_series(1, 10000) g');
  await cluster.query('checkpoint');
  const [row] = await cluster.query<{ path: string }>("select pg_relation_filepath('t') as path");
  const file = await open(`${cluster.server.dataDirectory}/${row!.path}`, 'r+');
  await file.write(Buffer.from('rotten'), 0, 6, 8192 + 4000);
  await file.close();
  const { archive, result } = await backup(cluster, 'pages');
  expect(result.did.problem).toContain('checksum');
  await expect(chooseBackup(archive, {})).rejects.toMatchObject({ code: 'WAL_NO_BACKUP_FOR_TARGET' });
});

test('a backup that fails on the way is no backup, and leaves no half upload', async () => {
  const cluster = await startCluster({ archiveCommand: pushTo('broken') });
  s3.emulator.faults.add({
    operation: 'PutObject',
    resource: /broken\/\d+\/backup\//,
    fault: { kind: 'status', status: 500, code: 'InternalError' },
  });
  await expect(backup(cluster, 'broken')).rejects.toMatchObject({ code: 'S3_REQUEST_FAILED' });
  s3.emulator.faults.clear();
  const { archive } = await backup(cluster, 'broken');
  expect(await listBackups(archive)).toHaveLength(1);
});

longTest('a cluster too large for the time left is refused before the first byte', async () => {
  const cluster = await startCluster();
  await expect(backup(cluster, 'large', { deadline: Deadline.after(20_200) })).rejects.toMatchObject({
    code: 'WAL_BACKUP_TOO_LARGE',
  });
});

test('a volume with the largest frames that the layout allows is laid out, as releases before wrote them', async () => {
  const archive = await WalArchive.claim(s3.location('frames'), MADE_UP, { store: s3.store() });
  const directory = mkdtempSync('/tmp/skytools-frames-');
  const content = randomBytes(6 << 20);
  writeFileSync(`${directory}/file`, content);
  const tar = execFileSync('tar', ['--format=ustar', '-cf', '-', '-C', directory, 'file'], {
    maxBuffer: 16 << 20,
  });
  const frames = [
    await compress(tar.subarray(0, FRAME_BYTES)),
    await compress(tar.subarray(FRAME_BYTES, 2 * FRAME_BYTES)),
  ];
  const object = Buffer.concat(frames);
  await archive.store.put('frames/volume', object, sha256(object));
  const volume = {
    file: 'volume',
    archive: 'base',
    plainSize: tar.length,
    objectSize: object.length,
    objectSha256: sha256(object),
    frames: frames.map((frame) => frame.length),
  };
  const to = mkdtempSync('/tmp/skytools-laid-');
  const seen = new Map<string, ManifestFile>();
  await extractVolume(archive, 'frames/volume', volume, '', seen, {
    directory: to,
    checksums: 'SHA256',
    sync: false,
  });
  expect(seen).toEqual(new Map([['file', { size: content.length, checksum: sha256(content) }]]));
  expect(readFileSync(`${to}/file`).equals(content)).toBe(true);
  archive.store.close();
});

test.each(['CRC32C', 'SHA256'] as const)(
  'a byte that changes on its way from the server is found by %s, and the backup does not count',
  async (checksums) => {
    const cluster = await startCluster({ archiveCommand: pushTo(`bent-${checksums}`) });
    await cluster.query(
      "create table t as select repeat('straight ', 20) as x from generate_series(1, 1000)",
    );
    await cluster.query('checkpoint');
    const proxy = await bendingProxy(cluster.server.port, 'straight', 'strAight');
    const source = await ReplicationSource.connect(
      `postgres://postgres@127.0.0.1:${proxy.port}/postgres?sslmode=disable`,
      'skytools_archive',
    );
    const archive = await WalArchive.claim(s3.location(`bent-${checksums}`), await source.identity(), {
      store: s3.store(),
    });
    await expect(takeBackup(archive, source, { fast: true, checksums })).rejects.toMatchObject({
      code: 'WAL_BACKUP_DAMAGED',
    });
    expect(await listBackups(archive)).toEqual([]);
    await source.close();
    proxy.close();
  },
);

/** Passes everything on but for one word in what the server says. */
async function bendingProxy(port: number, word: string, other: string) {
  const server = createServer((client) => {
    const upstream = dial(port, '127.0.0.1');
    upstream.on('data', (chunk) =>
      client.write(Buffer.from(chunk.toString('latin1').replaceAll(word, other), 'latin1')),
    );
    client.on('data', (chunk) => upstream.write(chunk));
    for (const [one, two] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('close', () => two.destroy());
      one.on('error', () => two.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

longTest('a damaged volume is found, a broken transfer taken up again, and nothing overwritten', async () => {
  const cluster = await startCluster({ archiveCommand: pushTo('damaged') });
  const { archive } = await backup(cluster, 'damaged');
  const home = mkdtempSync('/tmp/skytools-damaged-');
  const options = { to: `${home}/data`, fetchCommand: 'x', sync: false };
  s3.emulator.faults.add({ operation: 'GetObject', resource: /tar\.zst$/, fault: { kind: 'corrupt' } });
  await expect(restore(archive, options)).rejects.toMatchObject({ code: 'WAL_OBJECT_DAMAGED' });
  s3.emulator.faults.clear();
  s3.emulator.faults.add({
    operation: 'GetObject',
    resource: /tar\.zst$/,
    fault: { kind: 'truncate' },
    count: 2,
  });
  await restore(archive, options);
  await expect(restore(archive, options)).rejects.toMatchObject({ code: 'WAL_RESTORE_NOT_EMPTY' });
});

test('expiry keeps what the kept backups need, and they can still be recovered from', async () => {
  const cluster = await startCluster({ archiveCommand: pushTo('expiry'), initdb: ['--wal-segsize=1'] });
  await cluster.query('create table t (x text)');
  const fill = () => cluster.query('insert into t select md5(g::text) from generate_series(1, 20000) g');
  for (let round = 0; round < 3; round++) {
    await fill();
    // Names have seconds.
    await cluster.query('select pg_sleep(1)');
    await backup(cluster, 'expiry');
  }
  await fill();
  await archived(cluster);
  const before = await checksum(cluster, 't');
  await cluster.stop();

  const archive = await WalArchive.open(s3.location('expiry'), s3.store());
  const plan = await planExpiry(archive, { keep: 1, keepDays: 0 }, new Date());
  expect(plan.backups).toHaveLength(2);
  expect(plan.kept).toHaveLength(1);
  const first = plan.kept[0]!.slice(-24);
  expect(plan.files.every((name) => parseWalName(name).kind === 'backup' || name < first)).toBe(true);
  expect((await expire(archive, plan)).complete).toBe(true);
  expect(await listBackups(archive)).toHaveLength(1);
  expect((await planExpiry(archive, { keep: 1, keepDays: 0 }, new Date())).files).toEqual([]);
  const copy = await recover(s3, 'expiry');
  expect(await checksum(copy, 't')).toBe(before);
});

longTest(
  'a copy that becomes the cluster, archiving only later, can be recovered along its timeline',
  async () => {
    const cluster = await startCluster({ archiveCommand: pushTo('promoted') });
    // As `skytools wal setup` does: a restored copy has this file, too.
    await cluster.query('alter system set archive_mode = on');
    await cluster.query('create table t (x text)');
    const { archive } = await backup(cluster, 'promoted');
    await cluster.query("insert into t values ('a')");
    await cluster.query('select pg_switch_wal()');
    await cluster.query("insert into t values ('lost: never archived')");
    await until('the archiver', async () => (await checkArchive(archive)).segments >= 3);
    await cluster.stop('immediate');

    const copy = await recover(s3, 'promoted');
    await copy.query('alter system set archive_mode = on');
    await copy.query('select pg_reload_conf()');
    await copy.server.halt('fast');
    const again = await recoverInPlace(copy, pushTo('promoted'));
    await again.query("insert into t values ('b')");
    await archived(again);
    const report = await checkArchive(archive);
    expect(report.gaps).toEqual([]);
    expect(report.timelines).toEqual([1, 2]);
    await again.stop('immediate');

    const latest = await recover(s3, 'promoted');
    expect(await latest.query('select x from t order by 1')).toEqual([{ x: 'a' }, { x: 'b' }]);
  },
);

/** Starts a stopped server again, archiving. */
async function recoverInPlace(cluster: Cluster, archiveCommand: string): Promise<Cluster> {
  return startCluster({ archiveCommand, dataDirectory: cluster.server.dataDirectory });
}

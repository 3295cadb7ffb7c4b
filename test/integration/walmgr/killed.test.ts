// The built functions in processes of their own, killed (SIGKILL) while they wait for S3, for PostgreSQL, or for nothing.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { localManifest } from '../../../lib/local/demo/manifest.ts';
import { seededRandom } from '../../../lib/local/emulator/faults.ts';
import { type Runner, startRunner } from '../../../lib/local/runner/runner.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { WalArchive } from '../../../lib/walmgr/archive/archive.ts';
import { sha256 } from '../../../lib/walmgr/archive/codec.ts';
import { listBackups, missingWal } from '../../../lib/walmgr/backup/record.ts';
import { signUpload } from '../../../lib/walmgr/upload/request.ts';
import { checkArchive } from '../../../lib/walmgr/verify.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import { type Cluster, checksum, recover, startCluster, stopAll, until } from '../../support/cluster.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { MADE_UP, makeSegment } from '../../support/wal-files.ts';

/** Run with SKYTOOLS_TEST_LONG=1, as CI does. */
const longTest = test.skipIf(!process.env.SKYTOOLS_TEST_LONG);

const SEED = Number(process.env.SKYTOOLS_TEST_SEED ?? 1);
const KEYS = { SKYTOOLS_UPLOAD_KEY: 'sesame', SKYTOOLS_RESTORE_KEY: 'open' };
/** More requests than one invocation of this test sends to S3. */
const MOST_REQUESTS = 40;
/** Longer than an invocation of this test lives, mostly. */
const LONGEST_MS = 1500;

const random = seededRandom(SEED);
let s3: TestArchive;
let state: TestDatabase;
let cluster: Cluster;
let runner: Runner;
let directory: string;

beforeAll(async () => {
  s3 = await startArchive();
  directory = mkdtempSync('/tmp/skytools-wal-killed-');
  state = await createDatabase();
  cluster = await startCluster({ initdb: ['--wal-segsize=1'] });
  const config = parseConfig({
    databases: { state: { url: state.url } },
    walmgr: {
      main: {
        archive: s3.url('main'),
        source: cluster.server.url(),
        database: 'state',
        pull: { slot: 'killed' },
        backup: { keep: 100 },
      },
      followed: {
        archive: s3.url('followed'),
        source: cluster.server.url(),
        database: 'state',
        pull: { slot: 'followed', follow: true },
      },
      uploaded: {
        archive: s3.url('uploaded'),
        database: 'state',
        uploadKey: 'env:SKYTOOLS_UPLOAD_KEY',
        restoreKey: 'env:SKYTOOLS_RESTORE_KEY',
      },
    },
  });
  const file = path.join(directory, 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const manifest = localManifest('dist/functions');
  const functions = manifest.functions
    .filter(({ name }) => ['wal-archive', 'backup', 'wal-upload', 'wal-restore'].includes(name))
    // Nothing but this file wakes them.
    .map((each) => ({ ...each, events: [] }));
  runner = await startRunner(
    { ...manifest, functions },
    {
      endpoint: s3.emulator.endpoint,
      region: s3.emulator.region,
      accessKeyId: s3.env.AWS_ACCESS_KEY_ID!,
      secretAccessKey: s3.env.AWS_SECRET_ACCESS_KEY!,
      environment: { ...KEYS, SKYTOOLS_CONFIG_FILE: file, POWERTOOLS_METRICS_DISABLED: 'true' },
    },
  );
});

afterAll(async () => {
  await runner?.close(0);
  await stopAll();
  await state?.drop();
  await s3?.close();
  if (directory) rmSync(directory, { recursive: true, force: true });
});

const message = (job: object) => ({
  Records: [
    { messageId: 'm', receiptHandle: 'none', body: JSON.stringify({ v: 1, ...job }), attributes: {} },
  ],
});

/** A signed request as a function URL hands it on. */
function request(key: string, lines: Record<string, string | number>) {
  const body = Object.entries({ cluster: 'uploaded', ...lines, time: Math.floor(Date.now() / 1000) })
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');
  return { body, isBase64Encoded: false, headers: { 'x-skytools-signature': signUpload(body, key) } };
}

/** Starts a function and kills it when `moment` has come, or never where it is done before. */
async function die(
  name: string,
  event: object,
  moment: (over: () => boolean) => Promise<void>,
): Promise<boolean> {
  let over = false;
  const ended = runner.invoke(name, event).finally(() => {
    over = true;
  });
  await moment(() => over);
  const killed = runner.running(name).map((each) => each.kill());
  await ended;
  s3.emulator.faults.clear();
  // The lease of the dead is not waited for.
  await state.query('update walmgr.job set leased_until = null');
  return killed.includes(true);
}

/**
 * Kills a function while it waits for the answer to its first request to S3, the next one while it waits for its second,
 * and so on: the work is done, the function never hears of it.
 *
 * @returns how many died before one lived on to its end
 */
async function dieAtEachAnswer(name: string, event: () => object | Promise<object>): Promise<number> {
  const { faults } = s3.emulator;
  const resource = /^(main|uploaded)\//;
  for (let died = 0; died < MOST_REQUESTS; died++) {
    const prepared = await event();
    faults.add({ operation: '*', resource, fault: { kind: 'delay', milliseconds: 0 }, count: died });
    const lift = faults.add({ operation: '*', resource, fault: { kind: 'silence' }, count: 1 });
    const struck = () =>
      Object.entries(faults.counts()).reduce(
        (sum, [what, n]) => sum + (what.endsWith(' silence') ? n : 0),
        0,
      );
    const before = struck();
    await die(name, prepared, (over) =>
      until(`answer ${died} to ${name}`, async () => over() || struck() > before),
    );
    if (lift() === 0) return died;
  }
  throw new Error(`${name} does not end`);
}

/** Kills a function after a random time: while it starts, reads from the server, or tells its checkpoint. */
const dieSomewhere = (name: string, event: object) => die(name, event, () => sleep(random() * LONGEST_MS));

/** Again until it succeeds, as its queue or its caller would; the slot of the dead is free after a while. */
async function succeed(name: string, event: object): Promise<unknown> {
  let value: { batchItemFailures?: unknown[]; statusCode?: number } | undefined;
  await until(`${name} (seed ${SEED})`, async () => {
    value = (await runner.invoke(name, event)).value as typeof value;
    return (
      value !== undefined && (value.batchItemFailures ?? []).length === 0 && (value.statusCode ?? 200) === 200
    );
  });
  return value;
}

longTest(
  'a following pull that is killed, or frozen and thawed, is taken over within a minute, and the archive has no hole',
  async () => {
    await cluster.query('create table followed (x text)');
    const event = message({ kind: 'wal-archive', cluster: 'followed' });
    const isHeld = async () =>
      (await cluster.query("select 1 from pg_replication_slots where slot_name = 'followed' and active"))
        .length > 0;
    const isDue = async () =>
      (await state.query("select 1 where walmgr.is_job_due('followed', 'pull', 60)")).length > 0;
    /** Begins to follow, and is seen to archive. */
    const follow = async () => {
      const ended = runner.invoke('wal-archive', event);
      await until('a worker that follows', isHeld);
      await cluster.query('insert into followed select md5(g::text) from generate_series(1, 20000) g');
      const [here] = await cluster.query<{ lsn: string }>('select pg_current_wal_flush_lsn()::text as lsn');
      await until('its work in the archive', async () => {
        const done = 'select 1 from pg_replication_slots where slot_name = $1 and restart_lsn >= $2';
        return (await cluster.query(done, ['followed', here!.lsn])).length > 0;
      });
      expect(await isDue()).toBe(false);
      return { ended, running: runner.running('wal-archive').at(-1)! };
    };
    const takenOver = () => until('the end of a lease', async () => (await isDue()) && !(await isHeld()));

    const killed = await follow();
    killed.running.kill();
    await takenOver();
    const frozen = await follow();
    process.kill(frozen.running.pid!, 'SIGSTOP');
    await takenOver();
    const living = await follow();
    process.kill(frozen.running.pid!, 'SIGCONT');
    await Promise.all([killed.ended, frozen.ended]);
    // The thawed one has ended by itself and taken nothing from the other, which goes on.
    expect(runner.running('wal-archive')).toHaveLength(1);
    expect(await isHeld()).toBe(true);
    expect(await isDue()).toBe(false);

    living.running.kill();
    await living.ended;
    await until('the slot', async () => !(await isHeld()));
    await cluster.query("select pg_drop_replication_slot('followed')");
    const archive = await WalArchive.open(s3.location('followed'), s3.store());
    const { gaps, segments } = await checkArchive(archive);
    expect(gaps).toEqual([]);
    expect(segments).toBeGreaterThan(3);
    archive.store.close();
  },
  300_000,
);

longTest(
  'pull and backup killed at every answer of S3, and anywhere, leave an archive without a hole and no half backup',
  async () => {
    await cluster.query('create table t (x text)');
    const pull = message({ kind: 'wal-archive', cluster: 'main' });
    const backup = message({ kind: 'backup', cluster: 'main' });
    const fill = async () => {
      await cluster.query('insert into t select md5(g::text) from generate_series(1, 20000) g');
      await until('the slot that the dead one held', async () => {
        const held = await cluster.query('select 1 from pg_replication_slots where active');
        return held.length === 0;
      });
    };
    const work = async () => {
      await fill();
      return pull;
    };
    // The first pull of an archive, and one that has a backlog.
    expect(await dieAtEachAnswer('wal-archive', work)).toBeGreaterThan(1);
    expect(await dieAtEachAnswer('wal-archive', work)).toBeGreaterThan(3);
    expect(await dieAtEachAnswer('backup', () => backup)).toBeGreaterThan(3);
    for (let round = 0; round < 4; round++) {
      await fill();
      await dieSomewhere('wal-archive', pull);
      await dieSomewhere('backup', backup);
    }
    await succeed('backup', backup);
    await cluster.query('select pg_switch_wal()');
    await until('everything in the archive', async () => {
      await succeed('wal-archive', pull);
      const [slot] = await cluster.query<{ done: boolean }>(
        'select restart_lsn >= pg_current_wal_flush_lsn() as done from pg_replication_slots',
      );
      return slot?.done === true;
    });
    const archive = await WalArchive.open(s3.location('main'), s3.store());
    expect((await checkArchive(archive)).gaps).toEqual([]);
    const backups = await listBackups(archive);
    for (const record of backups) {
      expect(record.problem).toBeUndefined();
      expect(await missingWal(archive, record)).toEqual([]);
    }
    const before = await checksum(cluster, 't');
    await cluster.stop('immediate');
    for (const { name } of [backups[0]!, backups.at(-1)!]) {
      const copy = await recover(s3, 'main', { backup: name });
      expect(await checksum(copy, 't')).toBe(before);
      await copy.stop();
    }
    archive.store.close();
  },
  300_000,
);

longTest(
  'upload, registration and restore killed at every answer of S3 change nothing about what the next call does',
  async () => {
    const bytes = makeSegment('000000010000000000000005');
    const name = '000000010000000000000005';
    const upload = () =>
      request(KEYS.SKYTOOLS_UPLOAD_KEY, {
        name,
        size: bytes.length,
        sha256: sha256(bytes),
        object_size: bytes.length,
        object_sha256: sha256(bytes),
        codec: 'none',
        header: bytes.subarray(0, 40).toString('hex'),
      });
    expect(await dieAtEachAnswer('wal-upload', upload)).toBeGreaterThan(1);
    const granted = (await succeed('wal-upload', upload())) as { body: string };
    const [first, ...headers] = granted.body.trim().split('\n');
    const put = await fetch(first!.replace('put ', ''), {
      method: 'PUT',
      body: new Uint8Array(bytes),
      headers: Object.fromEntries(headers.map((line) => line.split(': ') as [string, string])),
    });
    expect(put.status).toBe(200);

    const key = `uploaded/${MADE_UP.systemIdentifier}/wal/${name.slice(0, 16)}/${name}`;
    const registration = message({ kind: 'wal-archive', cluster: 'uploaded', key });
    expect(await dieAtEachAnswer('wal-archive', () => registration)).toBeGreaterThan(1);
    await succeed('wal-archive', registration);
    expect(
      await state.query("select state, source from walmgr.segment where cluster_name = 'uploaded'"),
    ).toEqual([{ state: 'verified', source: 'upload' }]);

    const restore = () => request(KEYS.SKYTOOLS_RESTORE_KEY, { name });
    expect(await dieAtEachAnswer('wal-restore', restore)).toBeGreaterThan(1);
    const found = (await succeed('wal-restore', restore())) as { body: string };
    const got = await fetch(/^get (\S+)$/m.exec(found.body)![1]!);
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true);
  },
);

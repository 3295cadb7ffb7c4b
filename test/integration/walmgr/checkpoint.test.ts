import { mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { JobScope } from '../../../lib/jobs/worker.ts';
import type { Config } from '../../../lib/platform/config.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { WalArchive } from '../../../lib/walmgr/archive/archive.ts';
import { archiveJob } from '../../../lib/walmgr/jobs/archive.ts';
import { backupJob } from '../../../lib/walmgr/jobs/backup.ts';
import { walCapability } from '../../../lib/walmgr/jobs/capability.ts';
import { whileLeased } from '../../../lib/walmgr/jobs/lease.ts';
import { clusterScope } from '../../../lib/walmgr/jobs/scope.ts';
import { pullWal } from '../../../lib/walmgr/pull/pull.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import { skytools } from '../../support/cli.ts';
import { type Cluster, startCluster, stopAll } from '../../support/cluster.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

let s3: TestArchive;
let cluster: Cluster;
let database: TestDatabase;
let config: Config;

beforeAll(async () => {
  s3 = await startArchive();
  Object.assign(process.env, s3.env);
  cluster = await startCluster();
});

beforeEach(async () => {
  database = await createDatabase();
  config = {
    databases: {
      state: { url: 'env:STATE', tick: { intervalSeconds: 5, idleAfterSeconds: 600, idleMaximumSeconds: 0 } },
    },
    consumers: {},
    londiste: {},
    walmgr: {
      main: {
        archive: s3.url('jobs'),
        source: cluster.server.url(),
        database: 'state',
        pull: { slot: 'jobs' },
        backup: { everyHours: 24, keep: 1, keepDays: 0 },
      },
    },
  };
  return () => database.drop();
});

afterAll(async () => {
  await stopAll();
  await s3.close();
});

function scope(): JobScope {
  return {
    config,
    deadline: Deadline.after(60_000),
    database: async (_name, body) => {
      const client = await database.connect();
      try {
        return await body(client);
      } finally {
        await client.end();
      }
    },
  };
}

const due = async () => (await walCapability.dueWork(await database.connect(), config, 'state')).jobs;

test('the tables alone say what is due, and jobs follow from one to the next', async () => {
  expect((await due()).map((job) => job.kind)).toEqual(['wal-archive', 'backup']);
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  expect((await due()).map((job) => job.kind)).toEqual(['backup']);

  const next = await backupJob(
    { v: 1, kind: 'backup', cluster: 'main' },
    { ...scope(), deadline: Deadline.after(60_000) },
  );
  expect(next.map(({ job }) => job)).toEqual([
    { v: 1, kind: 'wal-archive', cluster: 'main' },
    { v: 1, kind: 'backup', cluster: 'main', job: 'expire' },
  ]);
  expect(await due()).toEqual([]);

  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  await backupJob({ v: 1, kind: 'backup', cluster: 'main', job: 'expire' }, scope());
  const [info] = await database.query('select * from walmgr.get_cluster_info()');
  expect(info).toMatchObject({ cluster_name: 'main', gaps: '0', usable_backups: '1', damaged: '0' });
  const client = await database.connect();
  expect(await walCapability.measure!(client, config)).toMatchObject({
    WalArchiveLagSeconds: expect.any(Number),
  });
});

test('a job that is being done is not due, and a second one ends quietly', async () => {
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  await database.query("select walmgr.begin_job('main', 'pull', 60)");
  expect((await due()).map((job) => job.kind)).toEqual(['backup']);
  await expect(archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope())).rejects.toMatchObject({
    code: 'UNIT_BUSY',
  });
});

test('a lease that was taken over cannot be given back by its old owner', async () => {
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  const begin = async (seconds: number) =>
    (
      await database.query<{ fence: string }>(
        `select walmgr.begin_job('main', 'expire', ${seconds}) as fence`,
      )
    )[0]!.fence;
  const old = await begin(0);
  const now = await begin(60);
  expect(BigInt(now)).toBe(BigInt(old) + 1n);
  expect(
    await database.query(`select walmgr.end_job('main', 'expire', ${old}, null, null, null) as ended`),
  ).toEqual([{ ended: 0 }]);
});

test('a worker that lives keeps its lease for as long as it works; a dead one leaves it for seconds', async () => {
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  const left = async () => {
    const [row] = await database.query<{ until: Date }>(
      "select leased_until as until from walmgr.job where job_kind = 'pull'",
    );
    return row!.until.getTime();
  };
  await whileLeased(
    clusterScope('main', scope()),
    'pull',
    async () => {
      const first = await left();
      await expect.poll(left).toBeGreaterThan(first + 1000);
    },
    1,
  );
  // It has ended without giving the lease back, as one does that was killed.
  const begin = () => database.query("select 1 where walmgr.begin_job('main', 'pull', 60) is not null");
  await expect.poll(begin).toHaveLength(1);
});

test('a worker whose lease has passed to another is told, and its pull writes nothing more', async () => {
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  const archive = await WalArchive.open(s3.location('jobs'), s3.store());
  const pieces = async () => {
    const keys: string[] = [];
    for await (const { key } of archive.store.list(archive.keys.live)) keys.push(key);
    return keys;
  };
  const source = await cluster.source();
  const write = () =>
    cluster.query('select pg_logical_emit_message(true, $1, $2)', ['test', 'x'.repeat(9000)]);
  await expect(
    whileLeased(
      clusterScope('main', scope()),
      'pull',
      async ({ signal }) => {
        const before = await pieces();
        const pulling = pullWal(archive, source, {
          slot: 'jobs',
          deadline: Deadline.never(),
          follow: true,
          liveEveryMs: 50,
          signal,
        });
        pulling.catch(() => {});
        await write();
        await expect.poll(pieces).not.toEqual(before);
        // The other's turn: what is written from here on is its work.
        await database.query("update walmgr.job set fence = fence + 1 where job_kind = 'pull'");
        await expect.poll(() => signal.aborted).toBe(true);
        await pulling.catch(() => {});
        const after = await pieces();
        await write();
        await sleep(500);
        expect(await pieces()).toEqual(after);
        await pulling;
      },
      0.3,
    ),
  ).rejects.toMatchObject({ code: 'UNIT_BUSY' });
  await source.close();
  archive.store.close();
});

test('the database of a pull is ticked as often as that is due, and as often as can be where one follows', async () => {
  const client = await database.connect();
  const idle = async () => (await walCapability.dueWork(client, config, 'state')).idleSeconds;
  const main = config.walmgr.main as { pull?: object };
  expect(await idle()).toBe(60);
  main.pull = { everySeconds: 600 };
  expect(await idle()).toBe(600);
  main.pull = { follow: true };
  expect(await idle()).toBe(0);
  delete main.pull;
  expect(await idle()).toBeUndefined();
});

test('a failing job is begun again later and later, and its error can be read', async () => {
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  const fence = (
    await database.query<{ fence: string }>("select walmgr.begin_job('main', 'backup', 60) as fence")
  )[0]!;
  await database.query(`select walmgr.end_job('main', 'backup', ${fence.fence}, 'disk full', null, null)`);
  expect(await due()).toEqual([]);
  const [info] = await database.query('select last_error from walmgr.get_cluster_info()');
  expect(info).toEqual({ last_error: 'disk full' });
});

test('catalogue and tables are told again from the listing after they were lost', async () => {
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  await backupJob({ v: 1, kind: 'backup', cluster: 'main' }, scope());
  await cluster.query('select pg_switch_wal()');
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  await backupJob({ v: 1, kind: 'backup', cluster: 'main', job: 'expire' }, scope());
  const archive = await WalArchive.open(s3.location('jobs'), s3.store());
  const catalogue = async () => {
    const found = await archive.store.get(archive.keys.catalogue, 1 << 20);
    return JSON.parse(String(found?.body)) as { listedAt: string; backups: { state: string }[] };
  };
  const { listedAt, ...before } = await catalogue();
  expect(before.backups.some(({ state }) => state === 'usable')).toBe(true);
  const tables = async () => ({
    segments: await database.query(
      'select file_name, state, plain_size, object_size, plain_sha256 from walmgr.segment order by 1',
    ),
    backups: await database.query(
      'select backup_name, state, start_lsn, stop_lsn from walmgr.backup order by 1',
    ),
  });
  // The archive is that of all tests of this file, the database this one's.
  const known = await tables();

  await archive.store.delete(archive.keys.catalogue);
  await database.query('delete from walmgr.cluster');
  process.env.STATE = database.url;
  const file = path.join(mkdtempSync('/tmp/skytools-catalogue-'), 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const again = await skytools(['--config', file, '--json', 'wal', 'catalogue', '--cluster', 'main'], {
    env: process.env,
  });
  expect(again).toMatchObject({ code: 0 });
  const { listedAt: later, ...after } = await catalogue();
  expect(after).toEqual(before);
  expect(later > listedAt).toBe(true);
  const told = await tables();
  for (const row of known.segments) expect(told.segments).toContainEqual(row);
  for (const row of known.backups) expect(told.backups).toContainEqual(row);
  archive.store.close();
});

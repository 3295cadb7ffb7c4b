import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { JobScope } from '../../../lib/jobs/worker.ts';
import type { Config } from '../../../lib/platform/config.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { archiveJob } from '../../../lib/walmgr/jobs/archive.ts';
import { backupJob } from '../../../lib/walmgr/jobs/backup.ts';
import { walCapability } from '../../../lib/walmgr/jobs/capability.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
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
}, 120_000);

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
}, 120_000);

test('a job that is being done is not due, and a second one ends quietly', async () => {
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  await database.query("select walmgr.begin_job('main', 'pull', 60)");
  expect((await due()).map((job) => job.kind)).toEqual(['backup']);
  await expect(archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope())).rejects.toMatchObject({
    code: 'UNIT_BUSY',
  });
}, 60_000);

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
}, 60_000);

test('a failing job is begun again later and later, and its error can be read', async () => {
  await archiveJob({ v: 1, kind: 'wal-archive', cluster: 'main' }, scope());
  const fence = (
    await database.query<{ fence: string }>("select walmgr.begin_job('main', 'backup', 60) as fence")
  )[0]!;
  await database.query(`select walmgr.end_job('main', 'backup', ${fence.fence}, 'disk full', null, null)`);
  expect(await due()).toEqual([]);
  const [info] = await database.query('select last_error from walmgr.get_cluster_info()');
  expect(info).toEqual({ last_error: 'disk full' });
}, 60_000);

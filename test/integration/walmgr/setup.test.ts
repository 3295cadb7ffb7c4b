import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WalArchive } from '../../../lib/walmgr/archive/archive.ts';
import { listBackups, missingWal } from '../../../lib/walmgr/backup/record.ts';
import { probeStore } from '../../../lib/walmgr/setup/probe.ts';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import { archived, type Cluster, startCluster, stopAll } from '../../support/cluster.ts';

let s3: TestArchive;
let cluster: Cluster;

beforeAll(async () => {
  s3 = await startArchive();
  cluster = await startCluster({ initdb: ['--wal-segsize=1'] });
});

afterAll(async () => {
  await stopAll();
  await s3.close();
});

async function skytools(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, ...s3.env, SKYTOOLS_WAL_ARCHIVE: s3.url('setup') };
  const source = ['--source', cluster.server.url()];
  return promisify(execFile)(process.execPath, ['dist/cli/main.mjs', 'wal', ...words, ...source], {
    env,
  }).then(
    (output) => ({ code: 0, ...output }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

test('the five minutes of push: set up, restart, archived, backed up, usable; and ended again', async () => {
  const looked = await skytools('setup', '--dry-run', '--command', s3.command);
  expect(looked.stdout).toContain('alter system set "archive_mode" = \'on\';');
  expect(looked.stderr).toContain('restart the server');
  expect((await skytools('setup', '--command', s3.command)).stderr).toContain('CLI_NEEDS_YES');
  expect(await skytools('setup', '--command', s3.command, '--yes')).toMatchObject({ code: 0 });
  // Restarted as the message asks.
  const { dataDirectory } = cluster.server;
  await cluster.server.halt('fast');
  cluster = await startCluster({ dataDirectory });
  await archived(cluster);
  const taken = await skytools('backup', '--json');
  expect(taken.stderr).toBe('');
  const archive = await WalArchive.open(s3.location('setup'), s3.store());
  const [backup] = await listBackups(archive);
  expect(await missingWal(archive, backup!)).toEqual([]);

  // The same again changes nothing; another archive's command is not taken over by mistake.
  expect(
    JSON.parse((await skytools('setup', '--dry-run', '--json', '--command', s3.command)).stdout),
  ).toMatchObject({ statements: [] });
  expect((await skytools('setup', '--yes', '--command', '/usr/bin/other')).stderr).toContain(
    'WAL_SETUP_TAKEN',
  );
  expect(await skytools('stop', '--yes')).toMatchObject({ code: 0 });
  expect(
    await cluster.query(
      "select setting from pg_file_settings where name = 'archive_mode' and applied is not null order by seqno desc limit 1",
    ),
  ).toEqual([{ setting: 'off' }]);
});

test('the five minutes of pull: a slot, without a restart, and dropped again', async () => {
  const done = await skytools('setup', '--by', 'pull', '--yes', '--json');
  expect(done).toMatchObject({ code: 0 });
  expect(JSON.parse(done.stdout)).toMatchObject({ needsRestart: [] });
  expect(await skytools('pull', '--json')).toMatchObject({ code: 0 });
  expect(await cluster.query('select slot_name from pg_replication_slots')).toEqual([
    { slot_name: 'skytools_archive' },
  ]);
  expect(await skytools('stop', '--by', 'pull', '--yes')).toMatchObject({ code: 0 });
  expect(await cluster.query('select slot_name from pg_replication_slots')).toEqual([]);
});

test('a store that replaces objects although it must not is refused before anything is archived', async () => {
  const store = s3.store();
  const careless = Object.assign(Object.create(store), { put: async () => true });
  await expect(probeStore(careless, s3.location('careless'))).rejects.toMatchObject({
    code: 'WAL_STORE_UNSAFE',
  });
  await probeStore(store, s3.location('careful'));
  store.close();
});

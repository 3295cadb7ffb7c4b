import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startArchive, type TestArchive } from '../../support/archive.ts';
import { archived, type Cluster, startCluster, stopAll } from '../../support/cluster.ts';

let s3: TestArchive;
let cluster: Cluster;

beforeAll(async () => {
  s3 = await startArchive();
  cluster = await startCluster({
    archiveCommand: `${s3.command} wal push --archive ${s3.url('cli')} %p`,
    initdb: ['--wal-segsize=1'],
  });
});

afterAll(async () => {
  await stopAll();
  await s3.close();
});

async function skytools(...words: string[]): Promise<{ code: number; json: never; stderr: string }> {
  const env = { ...process.env, ...s3.env, SKYTOOLS_WAL_ARCHIVE: s3.url('cli') };
  const result = await promisify(execFile)(process.execPath, ['lib/cli/main.ts', 'wal', ...words], {
    env,
  }).then(
    (output) => ({ code: 0, ...output }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  return {
    code: result.code,
    json: (result.stdout ? JSON.parse(result.stdout) : undefined) as never,
    stderr: result.stderr,
  };
}

test('the command line takes a backup, lists, checks, restores, and looks before it deletes', async () => {
  await archived(cluster);
  const taken = await skytools('backup', '--json', '--source', cluster.server.url());
  expect(taken).toMatchObject({ code: 0, json: { missing: [], major: cluster.server.binaries.major } });
  expect((await skytools('backups', '--json')).json).toMatchObject([{ state: 'usable' }]);
  expect(await skytools('show', '--json')).toMatchObject({ code: 0, json: { gaps: [], timelines: [1] } });
  expect(await skytools('verify', '--json')).toMatchObject({ code: 0, json: { damaged: [] } });
  expect((await skytools('expire', '--json', '--dry-run')).json).toMatchObject({ backups: [] });
  expect(await skytools('pull', '--json', '--source', cluster.server.url())).toMatchObject({
    code: 0,
    json: { gaps: [] },
  });

  const to = `${mkdtempSync('/tmp/skytools-cli-')}/data`;
  const restored = await skytools('restore', '--json', '--immediate', '--to', to);
  expect(restored).toMatchObject({ code: 0, json: { files: expect.any(Number) } });
  const again = await skytools('restore', '--immediate', '--to', to);
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('WAL_RESTORE_NOT_EMPTY');
  expect((await skytools('restore', '--to', '/tmp/x', '--target-time', 'noon')).code).toBe(2);
});

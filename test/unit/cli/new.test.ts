import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { STARTERS } from '../../../lib/cli/commands/starters.ts';
import { skytools } from '../../support/cli.ts';

/** A project in which the package is found as if it were installed. */
async function emptyProject(): Promise<string> {
  const project = await mkdtemp(path.join(tmpdir(), 'skytools-new-'));
  onTestFinished(() => rm(project, { recursive: true }));
  await mkdir(path.join(project, 'node_modules/skytools'), { recursive: true });
  const lib = path.resolve(import.meta.dirname, '../../../lib');
  await symlink(lib, path.join(project, 'node_modules/skytools/lib'));
  await writeFile(
    path.join(project, 'node_modules/skytools/package.json'),
    JSON.stringify({ name: 'skytools', type: 'module', exports: './lib/index.ts' }),
  );
  await writeFile(path.join(project, 'package.json'), JSON.stringify({ type: 'module' }));
  return project;
}

const runTests = (project: string) =>
  promisify(execFile)(process.execPath, ['--test', '--test-isolation=none', 'consumers/*.test.ts'], {
    cwd: project,
  });

it('new consumer writes a starter whose own test passes, once, and refuses to overwrite it', async () => {
  const project = await emptyProject();
  const directory = path.join(project, 'consumers');
  const argv = ['new', 'consumer', 'mailer', '--queue', 'orders', '--directory', directory];
  const written = await skytools(argv);
  expect(written.code).toBe(0);
  expect(written.stdout).toContain(`mailer: { kind: 'handler', database: 'app', queue: 'orders'`);
  expect(await skytools(argv)).toMatchObject({ code: 2, stderr: expect.stringContaining('CLI_FILE_EXISTS') });
  expect((await skytools(['new', 'consumer', '../up'])).code).toBe(2);
  expect((await skytools(['new', 'consumer', 'x', '--kind', 'teleport'])).code).toBe(2);
  expect((await runTests(project)).stdout).toMatch(/pass 2/);
});

it('every ready-made kind has a starter whose own test passes', async () => {
  const project = await emptyProject();
  const directory = path.join(project, 'consumers');
  for (const kind of Object.keys(STARTERS)) {
    const argv = [
      'new',
      'consumer',
      `my-${kind}`,
      '--kind',
      kind,
      '--queue',
      'orders',
      '--directory',
      directory,
    ];
    const written = await skytools(argv);
    expect(written).toMatchObject({ code: 0, stdout: expect.stringContaining(`'my-${kind}': my`) });
  }
  expect((await runTests(project)).stdout).toContain(`pass ${Object.keys(STARTERS).length}`);
});

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { skytools } from '../../support/cli.ts';

it('new consumer writes a starter whose own test passes, once, and refuses to overwrite it', async () => {
  const project = await mkdtemp(path.join(tmpdir(), 'skytools-new-'));
  onTestFinished(() => rm(project, { recursive: true }));
  const directory = path.join(project, 'consumers');
  const argv = ['new', 'consumer', 'mailer', '--queue', 'orders', '--directory', directory];
  const written = await skytools(argv);
  expect(written.code).toBe(0);
  expect(written.stdout).toContain(`mailer: { kind: 'handler', database: 'app', queue: 'orders'`);
  expect(await skytools(argv)).toMatchObject({ code: 2, stderr: expect.stringContaining('CLI_FILE_EXISTS') });
  expect((await skytools(['new', 'consumer', '../up'])).code).toBe(2);

  // The package as a project that installed it would find it.
  await mkdir(path.join(project, 'node_modules/skytools'), { recursive: true });
  const lib = path.resolve(import.meta.dirname, '../../../lib');
  await symlink(lib, path.join(project, 'node_modules/skytools/lib'));
  const { writeFile } = await import('node:fs/promises');
  await writeFile(
    path.join(project, 'node_modules/skytools/package.json'),
    JSON.stringify({ name: 'skytools', type: 'module', exports: './lib/index.ts' }),
  );
  await writeFile(path.join(project, 'package.json'), JSON.stringify({ type: 'module' }));
  const ran = await promisify(execFile)(process.execPath, ['--test', 'consumers/mailer.test.ts'], {
    cwd: project,
  });
  expect(ran.stdout).toMatch(/pass 2/);
});

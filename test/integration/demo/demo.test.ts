import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const PROGRAM = path.resolve('dist/cli/main.mjs');

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs `skytools local` as a user does, in a temporary directory by which everything it starts can be told.
 *
 * @param interruptAfterMs sends Ctrl-C's signal so long after the rows began to change
 */
async function skytoolsLocal(
  args: readonly string[],
  interruptAfterMs?: number,
): Promise<Ended & { left: () => string[] }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'skytools-demo-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  // As root, PostgreSQL runs as another account.
  await chmod(directory, 0o755);
  const child = spawn(process.execPath, [PROGRAM, 'local', ...args, '--keep', path.join(directory, 'kept')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TEST_DIRECTORY: directory },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    ended.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    ended.stderr += chunk.toString();
    if (interruptAfterMs !== undefined && ended.stderr.includes('\nchanging ')) {
      setTimeout(() => child.kill('SIGINT'), interruptAfterMs);
      interruptAfterMs = undefined;
    }
  });
  [ended.code] = (await once(child, 'close')) as [number | null];
  return { ...ended, left: () => processesWith(directory) };
}

/** Command lines of live processes that name a directory in an argument or in their environment. */
function processesWith(directory: string): string[] {
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      return command.includes(directory) || environment.includes(directory) ? [command] : [];
    } catch {
      return [];
    }
  });
}

test('tables join a replicated set while their rows change until ctrl-c, and arrive exactly as they are, and no process is left', async () => {
  const { code, stdout, stderr, left } = await skytoolsLocal(['--rate', '100'], 3_000);
  expect(stderr).toContain('demo.movies: 3201 rows');
  expect(stderr).toContain('demo.movies joined the set');
  expect(stdout).toMatch(/^identical: \d{5} rows in 6 tables\n$/);
  expect(code).toBe(0);
  // A server's watcher sees the end of its parent a moment later.
  await expect.poll(left).toEqual([]);
});

test('the same while handlers are killed in every state of a copy, connections cut, messages lost, repeated and delayed', async () => {
  const args = ['--for', '4s', '--rate', '100', '--chaos', '--seed', '11'];
  const { code, stdout, stderr, left } = await skytoolsLocal(args);
  expect(stderr).toMatch(/^chaos .*(killed|lost|repeated|delayed|cut) \d/m);
  for (const state of ['waiting', 'in-copy', 'catching-up'])
    expect(stderr).toMatch(new RegExp(`^chaos .*copy killed in ${state} \\d`, 'm'));
  expect(stderr).toContain('seed 11');
  expect(stdout).toMatch(/^identical: \d{5} rows in 6 tables\n$/);
  expect(code).toBe(0);
  // A server's watcher sees the end of its parent a moment later.
  await expect.poll(left).toEqual([]);
});

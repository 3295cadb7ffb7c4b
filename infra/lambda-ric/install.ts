import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * `node infra/lambda-ric/install.ts`: the runtime interface client that runs inside Lambda, from npm into .cache. Its native
 * part is compiled there, for a minute; needs cmake, g++ and make. Exit code 1 where it cannot be had.
 */
const VERSION = '4.0.2';

const directory = path.resolve(import.meta.dirname, '../../.cache', `lambda-ric-${VERSION}`);

/** The program, once it is installed. */
export const RUNTIME_CLIENT = path.join(directory, 'node_modules', 'aws-lambda-ric', 'index.mjs');

const COMPLETE = path.join(directory, 'complete');

async function install(): Promise<void> {
  if (existsSync(COMPLETE)) return;
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const manifest = { private: true, allowScripts: { 'aws-lambda-ric': true } };
  await writeFile(path.join(directory, 'package.json'), JSON.stringify(manifest));
  const argv = ['install', '--prefix', directory, '--no-save', '--no-audit', '--no-fund'];
  execFileSync('npm', [...argv, `aws-lambda-ric@${VERSION}`], { stdio: ['ignore', 'ignore', 'inherit'] });
  await writeFile(COMPLETE, '');
}

if (import.meta.main) {
  try {
    await install();
  } catch (error) {
    console.error(`aws-lambda-ric ${VERSION} cannot be installed:`, (error as Error).message);
    process.exitCode = 1;
  }
}

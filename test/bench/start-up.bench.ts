/**
 * Size of each function's bundle, and the time from the start of a process until its handler is loaded, with a warm compile
 * cache as after the first cold start of a deployment, and without one.
 *
 *   node test/bench/start-up.bench.ts [rounds]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildFunctions } from '../../infra/build/functions.ts';
import { functions } from '../../infra/functions.ts';

const root = path.resolve(import.meta.dirname, '../..');
const rounds = Number(process.argv[2] ?? 15);

/** Only `tick` has goals: it runs for each database each minute, and more. */
const GOAL_BYTES = 300_000;
const GOAL_MS = 150;

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Milliseconds of a whole process: start, load, end. */
function startUp(code: string, cache: string | undefined): number {
  const env = {
    PATH: process.env.PATH,
    AWS_REGION: 'us-east-1',
    AWS_LAMBDA_FUNCTION_NAME: 'bench',
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
  };
  const started = performance.now();
  execFileSync(process.execPath, ['--input-type=module', '-e', code], {
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return performance.now() - started;
}

const directory = mkdtempSync(path.join(tmpdir(), 'skytools-start-up-'));
try {
  await buildFunctions(path.join(root, 'skytools.config.ts'), directory);
  const cache = path.join(directory, 'cache');
  // process.exit, so that nothing but loading is measured; the cache is written by the first, which ends by itself.
  const load = (name: string) => `await import(${JSON.stringify(path.join(directory, name, 'index.mjs'))});`;
  const empty = median(Array.from({ length: rounds }, () => startUp('process.exit()', undefined)));
  console.log(`an empty node process: ${empty.toFixed(0)} ms; medians of ${rounds}`);
  console.log('function      bytes     zipped   start to ready   with compile cache   goal');
  for (const { name } of functions) {
    const bundle = readFileSync(path.join(directory, name, 'index.mjs'));
    startUp(load(name), cache);
    const cold = median(
      Array.from({ length: rounds }, () => startUp(`${load(name)} process.exit()`, undefined)),
    );
    const warm = median(Array.from({ length: rounds }, () => startUp(`${load(name)} process.exit()`, cache)));
    const met = bundle.length <= GOAL_BYTES && warm <= GOAL_MS;
    const goal =
      name === 'tick' ? `<= ${GOAL_BYTES / 1000} kB, <= ${GOAL_MS} ms ${met ? 'met' : 'MISSED'}` : '';
    console.log(
      `${name.padEnd(10)} ${String(bundle.length).padStart(8)} ${String(gzipSync(bundle).length).padStart(10)} ` +
        `${`${cold.toFixed(0)} ms`.padStart(16)} ${`${warm.toFixed(0)} ms`.padStart(20)}   ${goal}`,
    );
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}

// Seconds of committed work that burn with the host in pull mode: a hundred transactions a second, each with its time; the
// function wal-archive under the local runner pulls; the server is killed at a random moment; what comes back from the
// archive is compared with what was committed. Also the memory that the function held.
//
//   node test/bench/wal-loss.bench.ts        ROUNDS=10 PULL_SECONDS=20
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { buildFunctions } from '../../infra/build/functions.ts';
import { buildWalCommand } from '../../infra/build/wal-command.ts';
import { localManifest } from '../../lib/local/demo/manifest.ts';
import { startEmulator } from '../../lib/local/emulator/server.ts';
import { type EmbeddedPostgres, startPostgres } from '../../lib/local/postgres.ts';
import { startRunner } from '../../lib/local/runner/runner.ts';
import { parseConfig } from '../../lib/platform/config-file.ts';
import { WalArchive } from '../../lib/walmgr/archive/archive.ts';
import { takeBackup } from '../../lib/walmgr/backup/take.ts';
import { ReplicationSource } from '../../lib/walmgr/replication/source.ts';
import { restore } from '../../lib/walmgr/restore/restore.ts';
import { ObjectStore } from '../../lib/walmgr/s3/store.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 10);
/** Time-out of wal-archive: short, so that some rounds burn while one invocation hands over to the next. */
const PULL_SECONDS = Number(process.env.PULL_SECONDS ?? 20);
const PER_SECOND = 100;

const report = (name: string, value: string) => process.stdout.write(`${name.padEnd(58)} ${value}\n`);
const home = mkdtempSync('/tmp/skytools-walloss-');
chmodSync(home, 0o755);
const at = (...parts: string[]) => path.join(home, ...parts);
mkdirSync(at('s3'));
const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench-secret' };
const emulator = await startEmulator({ directory: at('s3'), ...credentials });
const store = new ObjectStore({
  bucket: 'bench',
  region: emulator.region,
  endpoint: emulator.endpoint,
  credentials: async () => credentials,
});
(await store.client.call({ method: 'PUT', key: '' })).resume();
await buildFunctions(path.resolve('skytools.config.ts'), at('functions'));
const script = await buildWalCommand(at('bin'));
const env = {
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  AWS_REGION: emulator.region,
  AWS_ENDPOINT_URL_S3: emulator.endpoint,
  SKYTOOLS_NODE: process.execPath,
};
const exports = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`);
writeFileSync(at('skytools'), `#!/bin/sh\n${exports.join('')}exec '${script}' "$@"\n`, { mode: 0o755 });

const SETTINGS = { wal_level: 'replica', full_page_writes: true, synchronous_commit: 'on' };
let configFile = '';

async function ask(server: EmbeddedPostgres, text: string): Promise<Record<string, number>> {
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  try {
    return (await client.query(text)).rows[0];
  } finally {
    await client.end();
  }
}

/** Milliseconds since the epoch of each commit, as the client was told. */
async function burn(round: number): Promise<{ lost: number; memory: number }> {
  const prefix = `round${round}`;
  const server = await startPostgres({ dataDirectory: at(prefix, 'data'), settings: SETTINGS });
  await ask(server, 'create table work (n int primary key, filler text)');
  const source = await ReplicationSource.connect(server.url(), 'skytools_archive');
  const archive = await WalArchive.claim({ bucket: 'bench', prefix }, await source.identity(), { store });
  configFile = at(`${prefix}.json`);
  writeFileSync(
    configFile,
    JSON.stringify(
      parseConfig({
        databases: {},
        walmgr: { main: { archive: `s3://bench/${prefix}`, source: server.url(), pull: { follow: true } } },
      }),
    ),
  );
  const manifest = localManifest(at('functions'));
  const runner = await startRunner(
    {
      ...manifest,
      functions: manifest.functions
        .filter((each) => each.name === 'wal-archive')
        .map((each) => ({ ...each, timeoutSeconds: PULL_SECONDS })),
    },
    {
      ...credentials,
      endpoint: emulator.endpoint,
      region: emulator.region,
      environment: { SKYTOOLS_CONFIG_FILE: configFile, POWERTOOLS_METRICS_DISABLED: 'true' },
    },
  );
  const { SendMessageCommand, SQSClient } = await import('@aws-sdk/client-sqs');
  const sqs = new SQSClient({ endpoint: emulator.endpoint, region: emulator.region, credentials });
  await sqs.send(
    new SendMessageCommand({
      QueueUrl: runner.queues.get('wal-archive')!.url,
      MessageBody: JSON.stringify({ v: 1, kind: 'wal-archive', cluster: 'main' }),
    }),
  );
  while (!(await ask(server, 'select count(*)::int as n from pg_replication_slots where active')).n)
    await sleep(50);
  await takeBackup(archive, source, { fast: true });
  await source.close();

  const committed: number[] = [];
  const client = new pg.Client({ connectionString: server.url() });
  client.on('error', () => {});
  await client.connect();
  const begun = performance.now();
  const lives = PULL_SECONDS * 1000 * (0.3 + Math.random());
  let stopped = false;
  const load = (async () => {
    for (let n = 0; !stopped; n++) {
      const due = begun + (n * 1000) / PER_SECOND;
      if (due > performance.now()) await sleep(due - performance.now());
      const done = await client
        .query('insert into work values ($1, repeat(md5(random()::text), 10))', [n])
        .then(
          () => true,
          () => false,
        );
      if (!done) return;
      committed.push(performance.now());
    }
  })();
  await sleep(lives);
  stopped = true;
  const burned = performance.now();
  await server.halt('immediate');
  await load;
  const memory = runner.counts().functions['wal-archive']?.maximumMemoryMb ?? 0;
  await runner.close(0);
  sqs.destroy();

  const to = at(`${prefix}-copy`, 'data');
  await restore(archive, {
    to,
    sync: false,
    fetchCommand: `${at('skytools')} wal fetch --archive s3://bench/${prefix} --unfinished %f %p`,
  });
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', 'postgres', at(`${prefix}-copy`)]);
  const copy = await startPostgres({ dataDirectory: to, settings: SETTINGS });
  while ((await ask(copy, 'select pg_is_in_recovery()::int as n')).n) await sleep(50);
  const { n } = await ask(copy, 'select count(*)::int as n from work');
  await copy.halt('immediate');
  // The oldest commit that did not come back; what is lost is the time from it to the fire.
  const firstLost = committed[n!];
  return { lost: firstLost === undefined ? 0 : (burned - firstLost) / 1000, memory };
}

report(
  'machine',
  `${cpus().length} × ${cpus()[0]?.model}, load ${loadavg()[0]?.toFixed(1)}, Node.js ${process.version}`,
);
const losses: number[] = [];
let memory = 0;
try {
  for (let round = 0; round < ROUNDS; round++) {
    const result = await burn(round);
    losses.push(result.lost);
    memory = Math.max(memory, result.memory);
  }
} finally {
  store.close();
  await emulator.close();
  rmSync(home, { recursive: true, force: true });
}
const sorted = losses.toSorted((a, b) => a - b);
report(
  `lost at ${PER_SECOND} transactions/s, ${ROUNDS} fires: median, worst (goal 2 s)`,
  `${sorted[Math.floor(ROUNDS / 2)]!.toFixed(2)} s, ${sorted.at(-1)!.toFixed(2)} s`,
);
report('resident memory of wal-archive (goal 256 MB)', `${memory} MB`);

/**
 * Sustained load while a transaction stays open: ours beside pg-boss and graphile-worker, in one run on one server. Each
 * round gives every queue the same number of jobs and takes the time until they are done; a minute without the open
 * transaction comes first. Prints the growth of the time per job, and the dead rows that the open transaction keeps.
 *
 *   node test/bench/sustained.bench.ts [minutes with the open transaction, 10] [jobs per round, 1000] [seconds per round, 5]
 *
 * The two come from npm into .cache (versions below) at the first run.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { composeSchema } from '../../infra/build/sql.ts';
import { embeddedBinaries, startPostgres } from '../../lib/local/postgres.ts';
import {
  configureQueue,
  consumeBatch,
  createQueue,
  Producer,
  registerConsumer,
  tick,
} from '../../lib/pgq/index.ts';
import { Deadline } from '../../lib/platform/deadline.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { transaction } from '../../lib/postgres/transaction.ts';
import { median } from '../support/bench.ts';

const VERSIONS = { 'pg-boss': '12.38.0', 'graphile-worker': '0.18.0' };

/** Seconds without the open transaction, before it begins: what growth is measured against. */
const BASELINE_SECONDS = 60;
/** Jobs that pg-boss is asked for at a time, and done with at once: its fastest way. */
const BOSS_BATCH = 100;
/** Workers of graphile-worker at once. */
const GRAPHILE_WORKERS = 4;

const [minutes = 10, jobs = 1000, secondsPerRound = 5] = process.argv.slice(2).map(Number);
const DATA = { id: 1234, name: 'customer 1234', city: 'Köln', amount: 99.25 };

/** A queue under test. */
interface Contender {
  name: string;
  /** Gives it so many jobs, and returns when all are done. */
  round(count: number): Promise<void>;
  /** Tables that hold jobs. */
  tables: string;
  stop(): Promise<void>;
}

async function load(name: keyof typeof VERSIONS): Promise<Record<string, never>> {
  const directory = path.resolve(import.meta.dirname, '../../.cache/bench-queues');
  const installed = path.join(directory, 'node_modules', name, 'package.json');
  if (!existsSync(installed)) {
    await mkdir(directory, { recursive: true });
    await writeFile(path.join(directory, 'package.json'), '{"private":true}');
    const packages = Object.entries(VERSIONS).map(([each, version]) => `${each}@${version}`);
    await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', ...packages], { cwd: directory });
  }
  const { exports, main } = (await import(pathToFileURL(installed).href, { with: { type: 'json' } })).default;
  const entry = exports?.['.'];
  const file = typeof entry === 'string' ? entry : (entry?.import ?? entry?.default ?? main);
  return import(
    pathToFileURL(path.join(path.dirname(installed), typeof file === 'string' ? file : file.default)).href
  );
}

async function startOurs(url: string): Promise<Contender> {
  const client = await connect(url);
  await client.query(`begin; ${composeSchema('skytools')} ${composeSchema('pgq')} commit;`);
  await createQueue(client, 'q');
  await registerConsumer(client, 'q', 'c');
  await configureQueue(client, 'q', { tickerMaxLagSeconds: 0 });
  const producer = new Producer('q');
  const deadline = () => Deadline.after(60_000);
  return {
    name: 'skytools',
    tables: `schemaname = 'pgq' and relname like 'event\\_%'`,
    async round(count) {
      const data = JSON.stringify(DATA);
      await transaction(client, () =>
        producer.insertMany(
          client,
          Array.from({ length: count }, () => ({ type: 'job', data })),
        ),
      );
      await tick(client, deadline());
      for (let done = 0; done < count; ) {
        const result = await consumeBatch(
          client,
          { queue: 'q', consumer: 'c' },
          { handleEvent() {} },
          deadline(),
        );
        done += result.did?.events ?? 0;
      }
    },
    stop: () => disconnect(client),
  };
}

async function startBoss(url: string): Promise<Contender> {
  const { PgBoss } = (await load('pg-boss')) as unknown as {
    PgBoss: new (
      url: string,
    ) => {
      on(event: 'error', listener: () => void): void;
      start(): Promise<unknown>;
      stop(options: { graceful: boolean }): Promise<void>;
      createQueue(name: string): Promise<void>;
      insert(name: string, jobs: { data: object }[]): Promise<unknown>;
      fetch(name: string, options: { batchSize: number }): Promise<{ id: string }[]>;
      complete(name: string, ids: string[]): Promise<unknown>;
    };
  };
  const boss = new PgBoss(url);
  boss.on('error', () => {});
  await boss.start();
  await boss.createQueue('q');
  return {
    name: 'pg-boss',
    tables: `schemaname = 'pgboss'`,
    async round(count) {
      await boss.insert(
        'q',
        Array.from({ length: count }, () => ({ data: DATA })),
      );
      for (let done = 0; done < count; ) {
        const fetched = await boss.fetch('q', { batchSize: BOSS_BATCH });
        if (fetched.length > 0)
          await boss.complete(
            'q',
            fetched.map(({ id }) => id),
          );
        done += fetched.length;
      }
    },
    stop: () => boss.stop({ graceful: false }),
  };
}

async function startGraphile(url: string): Promise<Contender> {
  const worker = (await load('graphile-worker')) as unknown as {
    Logger: new (factory: () => () => void) => unknown;
    runMigrations(options: object): Promise<void>;
    runOnce(options: object): Promise<void>;
    makeWorkerUtils(options: object): Promise<{
      addJobs(jobs: object[]): Promise<unknown>;
      release(): Promise<void>;
    }>;
  };
  const pgPool = new pg.Pool({ connectionString: url, max: GRAPHILE_WORKERS + 1 });
  pgPool.on('error', () => {});
  const options = { pgPool, logger: new worker.Logger(() => () => {}) };
  await worker.runMigrations(options);
  const utils = await worker.makeWorkerUtils(options);
  return {
    name: 'graphile-worker',
    tables: `schemaname = 'graphile_worker'`,
    async round(count) {
      await utils.addJobs(Array.from({ length: count }, () => ({ identifier: 'job', payload: DATA })));
      await worker.runOnce({
        ...options,
        concurrency: GRAPHILE_WORKERS,
        noHandleSignals: true,
        taskList: { job: async () => {} },
      });
    },
    async stop() {
      await utils.release();
      await pgPool.end();
    },
  };
}

const server = await startPostgres({
  binaries: embeddedBinaries(18),
  settings: { autovacuum: true, autovacuum_naptime: 10 },
});
const contenders: Contender[] = [];
const holders: pg.Client[] = [];
try {
  const admin = new pg.Client({ connectionString: server.url('postgres') });
  await admin.connect();
  for (const [index, start] of [startOurs, startBoss, startGraphile].entries()) {
    await admin.query(`create database d${index}`);
    contenders.push(await start(server.url(`d${index}`)));
  }
  await admin.end();

  const microseconds = contenders.map(() => [] as number[]);
  const roundsFor = async (seconds: number) => {
    const times = contenders.map(() => [] as number[]);
    for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
      const next = performance.now() + secondsPerRound * 1000;
      for (const [index, contender] of contenders.entries()) {
        const start = performance.now();
        await contender.round(jobs);
        times[index]!.push(((performance.now() - start) * 1000) / jobs);
      }
      await sleep(Math.max(0, next - performance.now()));
    }
    return times.map(median);
  };
  const deadRows = async (index: number) => {
    const client = new pg.Client({ connectionString: server.url(`d${index}`) });
    await client.connect();
    const { rows } = await client.query(
      `select coalesce(sum(n_dead_tup), 0)::int8::text as n from pg_stat_user_tables where ${contenders[index]!.tables}`,
    );
    await client.end();
    return Number(rows[0].n);
  };

  const print = (label: string, values: readonly (string | number)[]) =>
    console.log(label.padEnd(26) + values.map((value) => String(value).padStart(18)).join(''));
  print(
    'microseconds per job',
    contenders.map(({ name }) => name),
  );
  await roundsFor(secondsPerRound); // warms up
  const before = await roundsFor(BASELINE_SECONDS);
  print('no transaction open', before.map(Math.round));
  for (const index of contenders.keys()) {
    const holder = new pg.Client({ connectionString: server.url(`d${index}`) });
    await holder.connect();
    await holder.query('begin isolation level repeatable read; select txid_current()');
    holders.push(holder);
  }
  for (let minute = 1; minute <= minutes; minute++) {
    for (const [index, value] of (await roundsFor(60)).entries()) microseconds[index]!.push(value);
    print(
      `open for ${minute} min`,
      microseconds.map((times) => Math.round(times.at(-1)!)),
    );
  }
  const growth = microseconds.map((times, index) => times.at(-1)! / before[index]!);
  print(
    'growth',
    growth.map((ratio) => ratio.toFixed(2)),
  );
  const dead = await Promise.all(contenders.map((_, index) => deadRows(index)));
  print('dead rows of job tables', dead);
  console.log(`dead rows in our event tables: ${dead[0]} (goal 0) ${dead[0] === 0 ? 'met' : 'MISSED'}`);
  console.log(`growth of ours: ${growth[0]!.toFixed(2)} (goal: none)`);
} finally {
  for (const holder of holders) await holder.end();
  for (const contender of contenders) await contender.stop();
  await server.stop('immediate');
}

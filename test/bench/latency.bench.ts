/**
 * Time from a committed insert to the event in a handler, under the local runner with the built functions: with ticks every
 * second, and with a producer that sends the tick message itself after its commit.
 *
 *   node test/bench/latency.bench.ts [seconds of each]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { buildFunctions } from '../../infra/build/functions.ts';
import { sqsSender } from '../../lib/jobs/sender.ts';
import { type Stack, startStack } from '../../lib/local/demo/stack.ts';
import { configureQueue, createQueue, Producer, registerConsumer } from '../../lib/pgq/index.ts';

const QUEUE = 'latency';

/** Between two events, in milliseconds: spread over the second of a tick; one at a time where each wakes its own. */
const PAUSE_TICKS_MS = 40;
const PAUSE_WOKEN_MS = 250;

const CONFIG = {
  databases: { source: { url: 'env:SKYTOOLS_SOURCE_URL', tick: { intervalSeconds: 1 } } },
  consumers: {
    measure: {
      kind: 'handler',
      database: 'source',
      queue: QUEUE,
      handler: path.relative(tmpdir(), path.join(import.meta.dirname, 'latency-handler.ts')),
      transactional: true,
    },
  },
};

interface Case {
  name: string;
  goalMs: number;
  pauseMs: number;
  maxLagSeconds: number;
  wake: boolean;
}

const CASES: readonly Case[] = [
  { name: 'ticks every second', goalMs: 1_500, pauseMs: PAUSE_TICKS_MS, maxLagSeconds: 0.5, wake: false },
  { name: 'the producer wakes the tick', goalMs: 150, pauseMs: PAUSE_WOKEN_MS, maxLagSeconds: 0, wake: true },
];

async function measure(
  stack: Stack,
  client: pg.Client,
  { pauseMs, maxLagSeconds, wake }: Case,
  forMs: number,
) {
  await configureQueue(client, QUEUE, { tickerMaxLagSeconds: maxLagSeconds });
  await client.query('truncate seen');
  const producer = new Producer(QUEUE);
  let sent = 0;
  for (const end = performance.now() + forMs; performance.now() < end; sent++) {
    await producer.insert(client, { type: 'now', data: String(Date.now()) });
    if (wake) await sqsSender.send([{ job: { v: 1, kind: 'tick', database: 'source' } }]);
    await sleep(pauseMs * (0.5 + Math.random()));
  }
  for (const end = performance.now() + 90_000; ; await sleep(100)) {
    const { rows } = await client.query(
      `select count(*)::int4 as events, percentile_disc(array[0.5, 0.99, 1]) within group (order by at - sent) as ms from seen`,
    );
    if (rows[0].events === sent) return { events: sent, ms: rows[0].ms as number[] };
    if (performance.now() > end)
      throw new Error(`${rows[0].events} of ${sent} events arrived: ${stack.log.lastProblem}`);
  }
}

const seconds = Number(process.argv[2] ?? 40);
const directory = await mkdtemp(path.join(tmpdir(), 'skytools-latency-'));
const configFile = path.join(tmpdir(), `${path.basename(directory)}.json`);
await writeFile(configFile, JSON.stringify(CONFIG));
await buildFunctions(configFile, directory);
const stack = await startStack({ functions: directory, version: 'bench' });
try {
  const client = await stack.connect(stack.sourceUrl);
  await client.query('create table seen (sent float8, at float8)');
  await createQueue(client, QUEUE);
  await registerConsumer(client, QUEUE, 'measure');
  const runner = await stack.startFunctions();
  Object.assign(process.env, {
    AWS_REGION: stack.emulator.region,
    AWS_ENDPOINT_URL: stack.emulator.endpoint,
    AWS_ACCESS_KEY_ID: stack.emulator.accessKeyId,
    AWS_SECRET_ACCESS_KEY: stack.emulator.secretAccessKey,
    SKYTOOLS_QUEUE_TICK: runner.queues.get('tick')?.url,
  });
  await runner.fire('sweep');
  // Warm processes, as a function that is called each second has.
  await measure(stack, client, CASES[1]!, 3_000);
  console.log('insert to handler                 events      p50      p99  longest     goal');
  for (const each of CASES) {
    const { events, ms } = await measure(stack, client, each, seconds * 1000);
    const [p50, p99, longest] = ms.map((value) => `${Math.round(value)} ms`.padStart(8));
    const verdict = ms[1]! <= each.goalMs ? 'met' : 'MISSED';
    console.log(
      `${each.name.padEnd(32)}${String(events).padStart(8)} ${p50} ${p99} ${longest}   p99 <= ${each.goalMs} ms ${verdict}`,
    );
  }
} finally {
  await stack.close();
  await rm(directory, { recursive: true, force: true });
  await rm(configFile, { force: true });
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Context, SQSEvent } from 'aws-lambda';
import { queueVariable } from '../../lib/jobs/sender.ts';
import { startEmulator } from '../../lib/local/emulator/server.ts';
import { startPostgres } from '../../lib/local/postgres.ts';
import { parseConfig } from '../../lib/platform/config-file.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { install } from '../../lib/schema/install.ts';

/*
 * How long invocations take, as lib/local/simulation/durations.ts says: the functions themselves in this process, warm,
 * against PostgreSQL on this machine. `node test/bench/durations.bench.ts` prints milliseconds of CPU and waiting together;
 * a network between function and database comes on top, some round trips of it.
 */

const ROUNDS = 15;
const directory = mkdtempSync(path.join(tmpdir(), 'skytools-durations-'));
const server = await startPostgres();
const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench' };
mkdirSync(path.join(directory, 's3'));
const emulator = await startEmulator({ directory: path.join(directory, 's3'), ...credentials });
const admin = await connect(server.url());
await admin.query('create database source');
await admin.query('create database target');
const [source, target] = [await connect(server.url('source')), await connect(server.url('target'))];
try {
  for (const client of [source, target]) {
    await install(client, { version: '0.0.0' });
    await client.query('create table item (id int primary key, note text)');
  }
  writeFileSync(
    path.join(directory, 'config.json'),
    JSON.stringify(
      parseConfig({
        databases: { source: { url: server.url('source') }, target: { url: server.url('target') } },
        consumers: { apply: { kind: 'apply-rows', database: 'source', queue: 'q1', target: 'target' } },
      }),
    ),
  );
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: emulator.region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    POWERTOOLS_METRICS_DISABLED: 'true',
    SKYTOOLS_CONFIG_FILE: path.join(directory, 'config.json'),
  });
  for (const kind of ['tick', 'consume', 'maintain', 'replay', 'copy', 'wal-archive', 'backup'] as const) {
    const { QueueUrl } = await emulator.sqs.run('CreateQueue', { QueueName: kind }, AbortSignal.abort());
    process.env[queueVariable(kind)] = QueueUrl as string;
  }
  const handlers = {
    tick: (await import('../../functions/tick.ts')).handler,
    consume: (await import('../../functions/consume.ts')).handler,
  };
  const run = async (kind: 'tick' | 'consume', job: object): Promise<number> => {
    const body = JSON.stringify({ v: 1, kind, ...job });
    const event = { Records: [{ messageId: 'm', body, attributes: { ApproximateReceiveCount: '1' } }] };
    const startedAt = performance.now();
    const answer = await handlers[kind](
      event as SQSEvent,
      { getRemainingTimeInMillis: () => 60_000 } as Context,
    );
    const took = performance.now() - startedAt;
    if (answer.batchItemFailures.length > 0) throw new Error(`${kind} failed`);
    return took;
  };
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!.toFixed(1);

  let made = 0;
  for (const queues of [1, 10, 100, 1000]) {
    for (; made < queues; made++) await source.query('select pgq.create_queue($1)', [`q${made + 1}`]);
    if (queues === 1) {
      await source.query(`select pgq.register_consumer('q1', 'apply')`);
      await source.query(`create trigger capture after insert or update or delete on item
        for each row execute function pgq.logutriga('q1')`);
    }
    await source.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) times.push(await run('tick', { database: 'source' }));
    console.log(`tick, ${queues} queues all due: ${median(times)} ms`);
  }
  for (const events of [1, 500, 5000]) {
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await source.query(
        `insert into item select i, 'note' from generate_series(1, $1::int) i on conflict (id) do update set note = excluded.note`,
        [events],
      );
      await source.query('select pgq.ticker()');
      await source.query(`select pgq.ticker('q1')`);
      times.push(await run('consume', { database: 'source', consumer: 'apply' }));
      // What the second tick made is an empty batch.
      await run('consume', { database: 'source', consumer: 'apply' });
    }
    console.log(`consume (apply-rows), ${events} events: ${median(times)} ms`);
  }
} finally {
  for (const client of [source, target, admin]) await disconnect(client);
  await emulator.close();
  await server.stop('immediate');
  rmSync(directory, { recursive: true, force: true });
}
process.exit();

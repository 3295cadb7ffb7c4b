import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JobKind, JobMessage } from '../../../lib/jobs/messages.ts';
import { queueVariable } from '../../../lib/jobs/sender.ts';
import { type Emulator, startEmulator } from '../../../lib/local/emulator/server.ts';
import { setPaused } from '../../../lib/londiste/admin/node.ts';
import { until } from '../../support/cluster.ts';
import { type Cascade, cascade, QUEUE, rowsOf } from './cascade.ts';

/* The functions tick, replay and copy in this process, on PostgreSQL and the emulated SQS; messages are taken by hand. */

const KINDS: JobKind[] = ['tick', 'consume', 'maintain', 'replay', 'copy'];

let emulator: Emulator;
let directory: string;
let sqs: SQSClient;
const urls = new Map<JobKind, string>();
const handlers = new Map<string, (event: SQSEvent, context: Context) => Promise<SQSBatchResponse>>();
let set: Cascade;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'skytools-replay-'));
  emulator = await startEmulator({ directory, accessKeyId: 'test', secretAccessKey: 'test' });
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    SKYTOOLS_CONFIG_FILE: path.join(directory, 'config.json'),
  });
  sqs = new SQSClient();
  for (const kind of KINDS) {
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: kind }));
    urls.set(kind, QueueUrl!);
    process.env[queueVariable(kind)] = QueueUrl!;
  }
  for (const name of ['tick', 'replay', 'copy'])
    handlers.set(name, (await import(`../../../functions/${name}.ts`)).handler);
});

afterAll(async () => {
  sqs.destroy();
  await emulator.close();
  rmSync(directory, { recursive: true, force: true });
});

const run = (job: JobMessage) =>
  handlers.get(job.kind)!(
    {
      Records: [
        {
          messageId: 'm',
          receiptHandle: 'none',
          body: JSON.stringify(job),
          attributes: {
            ApproximateReceiveCount: '1',
            SentTimestamp: '0',
            SenderId: 'x',
            ApproximateFirstReceiveTimestamp: '0',
          },
          messageAttributes: {},
          md5OfBody: '',
          eventSource: 'aws:sqs',
          eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:any',
          awsRegion: 'us-east-1',
        },
      ],
    },
    { getRemainingTimeInMillis: () => 60_000 } as Context,
  );

async function take(kind: JobKind): Promise<JobMessage[]> {
  const jobs: JobMessage[] = [];
  for (;;) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl: urls.get(kind)!,
        MaxNumberOfMessages: 10,
        VisibilityTimeout: 3600,
      }),
    );
    if (Messages.length === 0) return jobs;
    jobs.push(...Messages.map(({ Body }) => JSON.parse(Body!) as JobMessage));
  }
}

const tick = (index: number) => run({ v: 1, kind: 'tick', database: set.nodes[index]!.name });
const replay = (): JobMessage => ({ v: 1, kind: 'replay', database: set.leaf.name, queue: QUEUE });

/** Ticks and does whatever is woken, until nothing is. */
const settle = () =>
  until('the idle cascade', async () => {
    for (const index of set.nodes.keys()) await tick(index);
    let done = 0;
    for (const kind of ['replay', 'copy'] as const) {
      for (let jobs = await take(kind); jobs.length > 0; jobs = await take(kind)) {
        for (const job of jobs) expect(await run(job)).toEqual({ batchItemFailures: [] });
        done += jobs.length;
      }
    }
    return done === 0;
  });

beforeEach(async () => {
  set = await cascade();
  writeFileSync(path.join(directory, 'config.json'), JSON.stringify(set.scope.config));
  // Ticks where there are events, and where one is asked for.
  await set.root.query(
    `update pgq.queue set queue_ticker_max_count = 1, queue_ticker_max_lag = '1 hour', queue_ticker_idle_period = '1 hour'`,
  );
  await set.root.query('create table public.item (id int primary key, name text)');
  for (const kind of KINDS) await take(kind);
});

afterEach(async () => {
  for (const kind of KINDS) await take(kind);
});

describe('replication by functions', () => {
  it('a tick of the provider wakes what its subscribers have to do, a copy included', async () => {
    await set.root.query(`insert into item select i, 'n' from generate_series(1, 50) i`);
    await set.add('item', { create: 'plain' });
    await settle();
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
    await set.root.query(`update item set name = 'm' where id < 5; delete from item where id > 45`);
    await tick(0);
    expect(await take('replay')).toEqual([replay()]);
    // The message is lost; the next tick finds the work.
    await settle();
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });

  it('an idle cascade wakes nobody', async () => {
    await settle();
    for (const index of set.nodes.keys()) await tick(index);
    expect([...(await take('replay')), ...(await take('copy'))]).toEqual([]);
  });

  it('messages in parallel: one replays, the others end quietly', async () => {
    await set.leaf.query('create table public.item (id int primary key, name text)');
    await set.add('item', { expectSync: true });
    await set.root.query(`insert into item select i, 'n' from generate_series(1, 2000) i`);
    await tick(0);
    const results = await Promise.all(Array.from({ length: 4 }, () => run(replay())));
    expect(results.flatMap((result) => result.batchItemFailures)).toEqual([]);
    await settle();
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });

  it('a paused node acknowledges and applies nothing; resumed it goes on', async () => {
    await set.leaf.query('create table public.item (id int primary key, name text)');
    await set.add('item', { expectSync: true });
    await settle();
    // As the original's tools do it: only the flag is set, and somebody has to confirm.
    await set.leaf.query(`select pgq_node.set_consumer_paused('set', 'n2_worker', true)`);
    await set.root.query(`insert into item values (1, 'x')`);
    await tick(0);
    await run(replay());
    expect(
      await set.leaf.query(
        `select paused, uptodate from pgq_node.local_state where consumer_name = 'n2_worker'`,
      ),
    ).toEqual([{ paused: true, uptodate: true }]);
    expect(await rowsOf(set.leaf, 'item')).toEqual([]);
    await set.scope.database(set.leaf.name, (client) => setPaused(client, QUEUE, false));
    await settle();
    expect(await rowsOf(set.leaf, 'item')).toEqual(['(1,x)']);
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Context, ScheduledEvent, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { functions } from '../../../infra/functions.ts';
import type { JobKind, JobMessage } from '../../../lib/jobs/messages.ts';
import { queueVariable } from '../../../lib/jobs/sender.ts';
import { type Emulator, startEmulator } from '../../../lib/local/emulator/server.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { until } from '../../support/cluster.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

/*
 * The functions themselves, run in this process against PostgreSQL and the emulated SQS. Messages are taken from the queues
 * by hand, so that each test decides which are lost, repeated, delayed or re-ordered.
 */

const KINDS: JobKind[] = ['tick', 'maintain', 'consume'];

let emulator: Emulator;
let directory: string;
let sqs: SQSClient;
let source: TestDatabase;
let target: TestDatabase;
const urls = new Map<JobKind, string>();
const handlers = new Map<string, (event: never, context: Context) => Promise<unknown>>();

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'skytools-laws-'));
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
  for (const { name } of functions)
    handlers.set(name, (await import(`../../../functions/${name}.ts`)).handler);
});

afterAll(async () => {
  sqs.destroy();
  await emulator.close();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  [source, target] = [await createDatabase(), await createDatabase()];
  const config = parseConfig({
    // A name of its own for every test: connections are kept warm by name.
    databases: { [source.name]: { url: source.url }, [target.name]: { url: target.url } },
    consumers: {
      apply: { kind: 'apply-rows', database: source.name, queue: 'q', target: target.name },
    },
  });
  writeFileSync(path.join(directory, 'config.json'), JSON.stringify(config));
  for (const database of [source, target])
    await database.query('create table public.item (id int primary key, name text)');
  await source.query(`select pgq.create_queue('q')`);
  await source.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);
  await source.query(`select pgq.register_consumer('q', 'apply')`);
  await source.query(
    `create trigger capture after insert or update or delete on public.item for each row execute function pgq.logutriga('q')`,
  );
  await drain();
});

afterEach(async () => {
  await source.drop();
  await target.drop();
});

const context = (ms = 60_000) => ({ getRemainingTimeInMillis: () => ms }) as Context;

const sqsEvent = (jobs: readonly (JobMessage | string)[]): SQSEvent => ({
  Records: jobs.map((job, index) => ({
    messageId: `m${index}`,
    receiptHandle: 'none',
    body: typeof job === 'string' ? job : JSON.stringify(job),
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
  })),
});

const run = (name: string, job: JobMessage | string, ms?: number) =>
  handlers.get(name)!(sqsEvent([job]) as never, context(ms)) as Promise<SQSBatchResponse>;
const sweep = () => handlers.get('sweep')!({ time: 'now' } as ScheduledEvent as never, context());

/** Takes every visible message of a kind out of its queue. */
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

async function drain(): Promise<void> {
  for (const kind of KINDS) await take(kind);
}

const tick = () => run('tick', { v: 1, kind: 'tick', database: source.name });
const consume = () => run('consume', { v: 1, kind: 'consume', database: source.name, consumer: 'apply' });
const rows = (database: TestDatabase) => database.query('select id, name from public.item order by id');
const insert = (...ids: number[]) =>
  source.query(`insert into public.item select i, 'name ' || i from unnest($1::int[]) i`, [ids]);

describe('law 1: PostgreSQL is the truth, a message is only a wake-up', () => {
  it('the sweep asks for a tick of every database and opens none', async () => {
    expect(await sweep()).toEqual({ ticked: 2, asleep: 0 });
    const jobs = await take('tick');
    expect(jobs.map((job) => 'database' in job && job.database).sort()).toEqual(
      [source.name, target.name].sort(),
    );
  });

  it('a row flows through tick and consume to the other database', async () => {
    await insert(1, 2, 3);
    expect(await tick()).toEqual({ batchItemFailures: [] });
    const woken = await take('consume');
    expect(woken).toEqual([{ v: 1, kind: 'consume', database: source.name, consumer: 'apply' }]);
    expect(await run('consume', woken[0]!)).toEqual({ batchItemFailures: [] });
    expect(await rows(target)).toEqual(await rows(source));
  });

  it('every message lost: the next tick finds the same work again', async () => {
    await insert(1);
    await tick();
    await drain();
    await tick();
    expect(await take('consume')).not.toEqual([]);
    await consume();
    expect(await rows(target)).toEqual(await rows(source));
  });

  it('messages repeated, in parallel and after success, change nothing', async () => {
    await insert(1, 2);
    await Promise.all([tick(), tick(), tick()]);
    const results = await Promise.all(Array.from({ length: 4 }, consume));
    await consume();
    expect(results.flatMap((result) => result.batchItemFailures)).toEqual([]);
    expect(await rows(target)).toEqual(await rows(source));
    const [done] = await source.query<{ pending: number }>(
      `select count(*)::int as pending from pgq.get_consumer_info('q', 'apply') where current_batch is not null`,
    );
    expect(done!.pending).toBe(0);
  });

  it('messages in the wrong order: consuming before the tick does nothing, after it everything', async () => {
    await insert(1);
    expect(await consume()).toEqual({ batchItemFailures: [] });
    expect(await rows(target)).toEqual([]);
    await tick();
    await consume();
    expect(await rows(target)).toEqual(await rows(source));
  });

  it('a poison message fails alone and for ever; the work goes on', async () => {
    await insert(1);
    expect(await run('consume', '{"v":1,"kind":"consume"}')).toEqual({
      batchItemFailures: [{ itemIdentifier: 'm0' }],
    });
    await tick();
    await consume();
    expect(await rows(target)).toEqual(await rows(source));
  });
});

describe('law 2 and 3: one unit per invocation, and it stops at a checkpoint', () => {
  it('a finished batch calls for the next one where there is more', async () => {
    await insert(1);
    await tick();
    await insert(2);
    await tick();
    await drain();
    await consume();
    const [next] = await take('consume');
    expect(next).toMatchObject({ kind: 'consume', chain: { hop: 1, stalled: 0 } });
    await run('consume', next!);
    expect(await rows(target)).toEqual(await rows(source));
    expect(await take('consume')).toEqual([]);
  });

  it('without time left nothing is begun and nothing is lost', async () => {
    await insert(1);
    await tick();
    await drain();
    expect(
      await run('consume', { v: 1, kind: 'consume', database: source.name, consumer: 'apply' }, 1000),
    ).toEqual({
      batchItemFailures: [],
    });
    expect(await rows(target)).toEqual([]);
    const [again] = await take('consume');
    await run('consume', again!);
    expect(await rows(target)).toEqual(await rows(source));
  });
});

describe('law 7: whoever comes second ends quietly', () => {
  it('a consumer held by another transaction is no failure', async () => {
    await insert(1);
    await tick();
    const other = await source.connect();
    await other.query('begin; select * from pgq.subscription for update');
    expect(await consume()).toEqual({ batchItemFailures: [] });
    expect(await rows(target)).toEqual([]);
    await other.query('rollback');
    await consume();
    expect(await rows(target)).toEqual(await rows(source));
  });

  it('a ticker beside another does not store a tick twice', async () => {
    await insert(1);
    await Promise.all(Array.from({ length: 5 }, tick));
    const ticks = await source.query<{ xmax: string }>(
      `select txid_snapshot_xmax(tick_snapshot)::text as xmax from pgq.tick order by tick_id`,
    );
    const order = ticks.map(({ xmax }) => BigInt(xmax));
    expect(order).toEqual([...order].sort((a, b) => Number(a - b)));
  });
});

describe('a database that fails', () => {
  it('whose connections were all cut serves the next message over a new one', async () => {
    await insert(1);
    await tick();
    await source.query(`select pg_terminate_backend(pid, 10000) from pg_stat_activity
                         where datname = current_database() and usename = current_user and pid <> pg_backend_pid()
                           and application_name like 'skytools%'`);
    await consume();
    await consume();
    expect(await rows(target)).toEqual(await rows(source));
  });

  it('that is a target only, without queues, is ticked without complaint', async () => {
    await target.query('drop schema pgq cascade');
    expect(await run('tick', { v: 1, kind: 'tick', database: target.name })).toEqual({
      batchItemFailures: [],
    });
  });
});

describe('maintenance', () => {
  it('is woken when a rotation is due, and does both of its steps', async () => {
    await source.query(`update pgq.queue set queue_rotation_period = '0'`);
    const table = async () =>
      (
        await source.query<{ n: number }>(
          `select queue_cur_table as n from pgq.queue where queue_switch_step2 is not null`,
        )
      )[0]?.n;
    const before = await table();
    let maintained = 0;
    let events = 0;
    // Transactions of other tests on the same server hold back the snapshots that a rotation waits for.
    await until('the rotation', async () => {
      await insert(++events);
      await tick();
      await consume();
      for (const job of await take('maintain')) {
        expect(await run('maintain', job)).toEqual({ batchItemFailures: [] });
        maintained++;
      }
      // Maintenance is woken at most every two minutes: the time of the last round is put back.
      await source.query(`update pgq.maintenance_run set finished_at = finished_at - interval '1 hour'`);
      const now = await table();
      return now !== undefined && now !== before;
    });
    expect(maintained).toBeGreaterThan(0);
  });

  it('brings a retried event back', async () => {
    await insert(1);
    await tick();
    const { batch } = (
      await source.query<{ batch: string }>(`select pgq.next_batch('q', 'apply')::text as batch`)
    )[0]!;
    await source.query(`select pgq.batch_retry($1, 0), pgq.finish_batch($1)`, [batch]);
    await tick();
    for (const job of await take('maintain')) await run('maintain', job);
    await tick();
    await consume();
    await consume();
    await consume();
    expect(await rows(target)).toEqual(await rows(source));
  });
});

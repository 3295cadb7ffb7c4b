import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { handler } from '../../../functions/consume.ts';
import { type Emulator, startEmulator } from '../../../lib/local/emulator/server.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { until } from '../../support/cluster.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

/*
 * The consume function itself, run in this process with a configuration of the test's own, against PostgreSQL and the
 * emulated S3 and SQS.
 */

let emulator: Emulator | undefined;

/** Starts the emulator for the tests of a file, and points the AWS clients at it. */
export function emulatedServices(): { readonly endpoint: string; readonly emulator: Emulator } {
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'skytools-consumers-'));
    emulator = await startEmulator({ directory, accessKeyId: 'test', secretAccessKey: 'test' });
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: emulator.endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    });
    const { QueueUrl } = await new SQSClient().send(new CreateQueueCommand({ QueueName: 'consume' }));
    process.env.SKYTOOLS_QUEUE_CONSUME = QueueUrl!;
  });
  afterAll(async () => {
    await emulator?.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    get endpoint() {
      return emulator!.endpoint;
    },
    get emulator() {
      return emulator!;
    },
  };
}

export interface ConsumerStack {
  /** Has queue `q` with consumer `c` registered. */
  source: TestDatabase;
  target: TestDatabase;
  /** The configuration, for functions in processes of their own. */
  configFile: string;
  /** Inserts events, each `[type, data, extra1?]`, and ticks. */
  produce(...events: (readonly [type: string | null, data: string | null, extra1?: string])[]): Promise<void>;
  tick(): Promise<void>;
  /** Delivers one message for consumer `c`; true unless it failed. */
  consume(milliseconds?: number): Promise<boolean>;
  /** Delivers messages, of which none fails, until the consumer has done every tick. */
  catchUp(): Promise<void>;
  /** Makes events of the retry queue due, and moves them. */
  bringBack(): Promise<void>;
  /** Ends the wait of an open circuit: the next message makes a probe. */
  letProbe(): Promise<void>;
  /** Ids and reasons of the dead letters. */
  dead(): Promise<[id: number, reason: string][]>;
  /** Whether the consumer has done every tick that there is. */
  caughtUp(): Promise<boolean>;
}

/** Two databases and a consumer `c` of queue `q`, gone with the test. `consumer` is its configuration but for the names. */
export async function consumerStack(
  consumer: (names: { source: string; target: string }) => Record<string, unknown>,
): Promise<ConsumerStack> {
  const source = await createDatabase();
  // A consumer whose function has no parameter has no use for a second database.
  const target = consumer.length > 0 ? await createDatabase() : source;
  const directory = mkdtempSync(path.join(tmpdir(), 'skytools-consumer-'));
  onTestFinished(async () => {
    await source.drop();
    if (target !== source) await target.drop();
    rmSync(directory, { recursive: true });
  });
  const file = path.join(directory, 'config.json');
  const config = parseConfig({
    databases: { [source.name]: { url: source.url }, [target.name]: { url: target.url } },
    consumers: {
      c: {
        database: source.name,
        queue: 'q',
        ...consumer({ source: source.name, target: target.name }),
      },
    },
  });
  writeFileSync(file, JSON.stringify(config));
  await source.query(`select pgq.create_queue('q'), pgq.register_consumer('q', 'c')`);
  const tick = async () => {
    await source.query(`select pgq.force_tick('q')`);
    await source.query(`select pgq.ticker('q')`);
  };
  const stack: ConsumerStack = {
    source,
    target,
    configFile: file,
    tick,
    async produce(...events) {
      for (const [type, data, extra1] of events)
        await source.query(`select pgq.insert_event('q', $1, $2, $3, null, null, null)`, [
          type,
          data,
          extra1 ?? null,
        ]);
      await tick();
    },
    async consume(milliseconds = 60_000) {
      process.env.SKYTOOLS_CONFIG_FILE = file;
      const context = { getRemainingTimeInMillis: () => milliseconds } as Context;
      const { batchItemFailures }: SQSBatchResponse = await handler(wakeUp(source.name), context);
      return batchItemFailures.length === 0;
    },
    async catchUp() {
      // What a worker that was cut off held is free a moment after its client knows.
      for (const database of new Set([source, target])) await database.quiet();
      await until('the consumer', async () => {
        if (!(await stack.consume())) throw new Error('a message failed');
        return stack.caughtUp();
      });
    },
    async bringBack() {
      await source.query('update pgq.retry_queue set ev_retry_after = now()');
      await source.query('select pgq.maint_retry_events()');
      await tick();
    },
    async letProbe() {
      await source.query(`update pgq.consumer_circuit set circuit_probe_at = now();
        update pgq.consumer_lease set lease_until = now()`);
    },
    async dead() {
      const rows = await source.query<{ id: number; reason: string }>(
        `select ev_id::int as id, ev_failed_reason as reason from pgq.failed_event_list('q', 'c') order by 1`,
      );
      return rows.map(({ id, reason }) => [id, reason]);
    },
    async caughtUp() {
      const [row] = await source.query<{ done: boolean }>(
        `select last_tick = (select max(tick_id) from pgq.tick) as done from pgq.get_consumer_info('q', 'c')`,
      );
      return row!.done;
    },
  };
  return stack;
}

/** The message that wakes consumer `c`, as the function gets it. */
export function wakeUp(database: string): SQSEvent {
  const attributes = {
    ApproximateReceiveCount: '1',
    SentTimestamp: '0',
    SenderId: 'x',
    ApproximateFirstReceiveTimestamp: '0',
  };
  return {
    Records: [
      {
        messageId: 'm',
        receiptHandle: 'none',
        body: JSON.stringify({ v: 1, kind: 'consume', database, consumer: 'c' }),
        attributes,
        messageAttributes: {},
        md5OfBody: '',
        eventSource: 'aws:sqs',
        eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:consume',
        awsRegion: 'us-east-1',
      },
    ],
  };
}

/** Makes the server end the backend that inserts the `nth` row into a table, once: a kill in the middle of the work. */
export async function killAtRow(database: TestDatabase, table: string, nth: number): Promise<void> {
  await database.query(`create sequence public.kill_count;
    create function public.kill_once() returns trigger language plpgsql as $$
    begin
      if nextval('public.kill_count') = ${nth} then
        perform pg_terminate_backend(pg_backend_pid());
      end if;
      return new;
    end $$;
    create trigger kill_once before insert on ${table} for each row execute function public.kill_once()`);
}

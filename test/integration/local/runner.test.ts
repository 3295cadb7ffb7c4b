// The runner behaves as Lambda, its event source mappings and EventBridge do.

import { execFileSync, fork } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  ChangeMessageVisibilityCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Emulator } from '../../../lib/local/emulator/server.ts';
import type { ChaosOptions } from '../../../lib/local/runner/chaos.ts';
import type { Clock } from '../../../lib/local/runner/clock.ts';
import type { FunctionDefinition, Manifest, QueueEvent } from '../../../lib/local/runner/manifest.ts';
import { type Runner, type RunnerOptions, startRunner } from '../../../lib/local/runner/runner.ts';
import type { LogLine } from '../../../lib/local/runner/sandbox.ts';
import { freshEmulator, sqsClient } from './service.ts';

const bundle = fileURLToPath(new URL('./handlers/obedient.mjs', import.meta.url));
const broken = fileURLToPath(new URL('./handlers/broken.mjs', import.meta.url));

interface Entry {
  readonly at: number;
  readonly handled?: number;
  readonly failed?: number;
  readonly receives?: number;
  readonly receipt?: string;
  readonly begin?: string[];
  readonly end?: string[];
  readonly scheduled?: string;
  // biome-ignore lint/suspicious/noExplicitAny: an event as the handler got it
  readonly event?: any;
}

let emulator: Emulator;
let dispose: () => Promise<void>;
let sqs: SQSClient;
let directory: string;
let runner: Runner | undefined;
let runs = 0;
let record = '';

beforeAll(async () => {
  ({ emulator, dispose } = await freshEmulator());
  sqs = sqsClient(emulator.endpoint);
  directory = await mkdtemp(join(tmpdir(), 'skytools-runner-'));
});
afterEach(async () => {
  await runner?.close(0);
  runner = undefined;
});
afterAll(async () => {
  sqs.destroy();
  await dispose();
  await rm(directory, { recursive: true, force: true });
});

async function start(manifest: Manifest, more: Partial<RunnerOptions> = {}): Promise<Runner> {
  record = join(directory, `record-${++runs}`);
  const { endpoint, region, accessKeyId, secretAccessKey } = emulator;
  runner = await startRunner(manifest, {
    endpoint,
    region,
    accessKeyId,
    secretAccessKey,
    environment: { RECORD: record },
    ...more,
  });
  return runner;
}

const single = (more: Partial<FunctionDefinition> = {}): Manifest => ({
  functions: [{ name: 'obedient', bundle, timeoutSeconds: 20, events: [], ...more }],
  queues: [],
});

/** One function fed by one queue with a dead-letter queue. */
function fed(event: Partial<QueueEvent> = {}, visibilityTimeoutSeconds = 60, maxReceiveCount = 5): Manifest {
  const queue = `work-${runs + 1}-${Date.now()}`;
  return {
    functions: [
      {
        name: 'obedient',
        bundle,
        timeoutSeconds: visibilityTimeoutSeconds / 6,
        events: [{ queue, reportBatchItemFailures: true, ...event }],
      },
    ],
    queues: [
      { name: queue, visibilityTimeoutSeconds, deadLetter: { queue: `${queue}-dead`, maxReceiveCount } },
      { name: `${queue}-dead`, visibilityTimeoutSeconds: 30 },
    ],
  };
}

const queueOf = (manifest: Manifest): string => manifest.queues[0]?.name as string;

function url(name: string): string {
  return runner?.queues.get(name)?.url as string;
}

async function send(manifest: Manifest, ...orders: object[]): Promise<void> {
  for (const order of orders) {
    const QueueUrl = url(queueOf(manifest));
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify(order) }));
  }
}

async function remaining(name: string): Promise<number> {
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: url(name), AttributeNames: ['All'] }),
  );
  return (
    Number(Attributes?.ApproximateNumberOfMessages) +
    Number(Attributes?.ApproximateNumberOfMessagesNotVisible)
  );
}

function entries(): Entry[] {
  if (!existsSync(record)) return [];
  const text = readFileSync(record, 'utf8');
  // The last line may be in the writing.
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  return lines.filter(Boolean).map((line) => JSON.parse(line) as Entry);
}

const handled = (): number[] =>
  entries().flatMap((entry) => (entry.handled === undefined ? [] : [entry.handled]));

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error('what was waited for did not happen in 60 s');
    await sleep(20);
  }
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('a function', () => {
  it('gets its event, a Lambda context, and only its own environment', async () => {
    process.env.SKYTOOLS_TEST_LEAK = 'leaked';
    const host = await start(single({ memoryMb: 200, environment: { OWN: 'yes' } }));
    expect((await host.invoke('obedient', { n: 1 })).value).toEqual({ n: 1 });
    const context = await host.invoke('obedient', { do: 'context' });
    expect(context.value).toMatchObject({
      awsRequestId: context.requestId,
      functionName: 'obedient',
      functionVersion: '$LATEST',
      memoryLimitInMB: '200',
      invokedFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:obedient',
    });
    const { remaining: left } = context.value as { remaining: number };
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(20_000);
    const { value } = await host.invoke('obedient', { do: 'environment' });
    expect(value).toMatchObject({
      OWN: 'yes',
      AWS_LAMBDA_FUNCTION_NAME: 'obedient',
      AWS_ENDPOINT_URL: emulator.endpoint,
    });
    expect(value).not.toHaveProperty('SKYTOOLS_TEST_LEAK');
    delete process.env.SKYTOOLS_TEST_LEAK;
    expect(host.counts().functions.obedient).toMatchObject({ invocations: 3, coldStarts: 1, errors: 0 });
  });

  it('answers errors as Lambda does, and a crash takes only its own process', async () => {
    const lines: LogLine[] = [];
    const host = await start(single(), { log: (line) => lines.push(line) });
    const error = async (order: object) => (await host.invoke('obedient', order)).error;
    expect(await error({ do: 'throw', message: 'oh' })).toMatchObject({
      errorType: 'OrderedError',
      errorMessage: 'oh',
    });
    expect((await error({ do: 'throw' }))?.trace[0]).toContain('as ordered');
    expect(await error({ do: 'throw-text' })).toMatchObject({
      errorType: 'string',
      errorMessage: 'just text',
    });
    expect(await error({ do: 'bigint' })).toMatchObject({ errorType: 'Runtime.MarshalError' });
    expect(host.counts().functions.obedient?.coldStarts).toBe(1);
    expect(await error({ do: 'exit' })).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringContaining('exit status 3'),
    });
    expect(await error({ do: 'reject-later' })).toMatchObject({
      errorType: 'Runtime.UnhandledPromiseRejection',
    });
    expect((await host.invoke('obedient', { n: 2 })).value).toEqual({ n: 2 });
    await host.invoke('obedient', { do: 'say', text: 'hello' });
    await until(() => lines.some((line) => line.text === 'hello!'));
    expect(lines).toContainEqual(
      expect.objectContaining({ stream: 'stdout', text: 'hello', functionName: 'obedient' }),
    );
    expect(lines).toContainEqual(expect.objectContaining({ stream: 'platform', text: 'OrderedError: oh' }));
  });

  it('whose bundle does not load says so', async () => {
    const host = await start(single({ bundle: broken }));
    expect((await host.invoke('obedient', {})).error).toMatchObject({
      errorType: 'Runtime.ImportModuleError',
    });
  });

  it('is killed at its time-out, even in a busy loop', async () => {
    const host = await start(single({ timeoutSeconds: 1 }));
    const { value } = await host.invoke('obedient', { do: 'process' });
    const result = await host.invoke('obedient', { do: 'loop' });
    expect(result.error).toMatchObject({
      errorType: 'Sandbox.Timedout',
      errorMessage: expect.stringContaining('Task timed out after 1.00 seconds'),
    });
    const { pid } = value as { pid: number };
    await until(() => !alive(pid));
    expect(host.counts().functions.obedient).toMatchObject({ timeouts: 1, errors: 1 });
    expect((await host.invoke('obedient', { n: 1 })).value).toEqual({ n: 1 });
  });

  it('runs no more often at once than its concurrency allows', async () => {
    const host = await start(single({ reservedConcurrency: 2 }));
    await Promise.all(Array.from({ length: 6 }, () => host.invoke('obedient', { do: 'sleep', ms: 50 })));
    expect(host.counts().functions.obedient).toMatchObject({
      invocations: 6,
      peakConcurrency: 2,
      coldStarts: 2,
    });
  });

  it('stands still between invocations when freezing is on', async () => {
    const host = await start(single(), { freeze: true });
    const look = async () =>
      (await host.invoke('obedient', { do: 'process' })).value as Record<string, number>;
    const before = await look();
    const state = () => execFileSync('ps', ['-o', 'state=', '-p', String(before.pid)], { encoding: 'utf8' });
    await expect.poll(state).toMatch(/^T/);
    const after = await look();
    expect([after.pid, after.invocations]).toEqual([before.pid, 2]);
    await expect.poll(state).toMatch(/^T/);
  });

  it('answers HTTP at its function URL', async () => {
    const host = await start(single({ events: [{ functionUrl: true }] }));
    const answer = await fetch(new URL('/some/path', host.urls.get('obedient')), {
      method: 'POST',
      body: 'this',
      headers: { 'content-type': 'text/plain' },
    });
    expect([answer.status, answer.headers.get('x-path'), await answer.text()]).toEqual([
      201,
      '/some/path',
      'got this',
    ]);
  });
});

describe('an event source mapping', () => {
  it('hands messages over in the shape of AWS and deletes them when they succeed', async () => {
    const manifest = fed();
    await start(manifest);
    await send(manifest, { n: 1 }, { n: 2 });
    await until(async () => handled().length === 2 && (await remaining(queueOf(manifest))) === 0);
    const [first] = entries().filter((entry) => entry.handled === 1);
    expect(first?.event).toMatchObject({
      messageId: expect.any(String),
      receiptHandle: expect.any(String),
      body: '{"n":1}',
      attributes: {
        ApproximateReceiveCount: '1',
        SentTimestamp: expect.any(String),
        SenderId: expect.any(String),
        ApproximateFirstReceiveTimestamp: expect.any(String),
      },
      messageAttributes: {},
      md5OfBody: expect.stringMatching(/^[0-9a-f]{32}$/),
      eventSource: 'aws:sqs',
      eventSourceARN: `arn:aws:sqs:us-east-1:000000000000:${queueOf(manifest)}`,
      awsRegion: 'us-east-1',
    });
  });

  it('gathers a batch within its window, of at most its size', async () => {
    // A batch that is full does not wait for the end of its window.
    const manifest = fed({ batchSize: 3, batchingWindowSeconds: 300, maximumConcurrency: 2 });
    await start(manifest);
    await send(manifest, ...Array.from({ length: 6 }, (_, n) => ({ n })));
    await until(() => handled().length === 6);
    const sizes = entries().flatMap((entry) => (entry.begin ? [entry.begin.length] : []));
    expect(sizes).toEqual([3, 3]);
  });

  it('deletes only what succeeded; what fails comes back and ends in the dead-letter queue', async () => {
    const manifest = fed({ batchingWindowSeconds: 1 }, 60, 2);
    const host = await start(manifest);
    await send(manifest, { n: 1 }, { do: 'fail', n: 2 }, { n: 3 });
    const failures = () => entries().filter((entry) => entry.failed === 2);
    for (const receives of [1, 2]) {
      await until(() => host.counts().queues[queueOf(manifest)]?.returned === receives);
      // Its visibility time-out ends now.
      await sqs.send(
        new ChangeMessageVisibilityCommand({
          QueueUrl: url(queueOf(manifest)),
          ReceiptHandle: failures().at(-1)!.receipt,
          VisibilityTimeout: 0,
        }),
      );
    }
    await until(async () => (await remaining(`${queueOf(manifest)}-dead`)) === 1);
    await until(async () => (await remaining(queueOf(manifest))) === 0);
    expect(handled().sort()).toEqual([1, 3]);
    expect(failures().map((entry) => entry.receives)).toEqual([1, 2]);
    expect(await remaining(queueOf(manifest))).toBe(0);
    expect(runner?.counts().queues[queueOf(manifest)]).toMatchObject({
      received: 4,
      deleted: 2,
      returned: 2,
    });
  });

  it('takes a throw, a crash and a malformed report for the failure of the whole batch', async () => {
    for (const order of [
      { do: 'throw' },
      { do: 'exit' },
      { do: 'answer', answer: { batchItemFailures: [{ itemIdentifier: 'nobody' }] } },
    ]) {
      const manifest = fed({ batchSize: 2, batchingWindowSeconds: 300 });
      const host = await start(manifest);
      await send(manifest, { n: 1 }, order);
      await until(() => (host.counts().queues[queueOf(manifest)]?.returned ?? 0) >= 2);
      expect(host.counts().queues[queueOf(manifest)]?.deleted).toBe(0);
      expect(await remaining(queueOf(manifest))).toBe(2);
      await host.close(0);
    }
  });

  it('runs no more batches at once than its maximum concurrency', async () => {
    const manifest = fed({ batchSize: 1, maximumConcurrency: 2 });
    const host = await start(manifest);
    await send(manifest, ...Array.from({ length: 8 }, (_, n) => ({ do: 'sleep', ms: 100, n })));
    await until(() => handled().length === 8);
    expect(host.counts().functions.obedient?.peakConcurrency).toBe(2);
  });

  it('survives a queue that answers with errors', async () => {
    const manifest = fed();
    const host = await start(manifest);
    const fault = { kind: 'status', status: 500, code: 'InternalError' } as const;
    const healed = emulator.faults.add({ operation: 'ReceiveMessage', fault, count: 8 });
    await send(manifest, { n: 1 }, { n: 2 });
    await until(() => handled().length === 2);
    healed();
    expect(host.counts().queues[queueOf(manifest)]?.received).toBe(2);
  });
});

describe('chaos', () => {
  const MESSAGES = 40;

  async function storm(chaos: ChaosOptions, visibilityTimeoutSeconds: number): Promise<Manifest> {
    const manifest = fed({ batchSize: 2, maximumConcurrency: 4 }, visibilityTimeoutSeconds, 1000);
    await start(manifest, { chaos });
    await send(manifest, ...Array.from({ length: MESSAGES }, (_, n) => ({ do: 'sleep', ms: 5, n })));
    return manifest;
  }

  it('kills handlers, repeats and delays messages, and every message is handled all the same', async () => {
    // What was killed comes back soon.
    const manifest = await storm(
      { seed: 5, kill: 0.2, duplicate: 0.2, delay: { probability: 0.2, maximumMs: 200 } },
      2,
    );
    // What strikes depends on how messages fall into batches: more are sent until everything has struck.
    let sent = MESSAGES;
    await until(async () => {
      const { killed, duplicated, delayed } = runner!.counts().chaos;
      const repeated = handled().length - new Set(handled()).size;
      if (Math.min(killed, duplicated, delayed, repeated) > 0) return true;
      if ((await remaining(queueOf(manifest))) === 0) await send(manifest, { do: 'sleep', ms: 5, n: sent++ });
      return false;
    });
    await until(async () => (await remaining(queueOf(manifest))) === 0);
    expect(new Set(handled()).size).toBe(sent);
    expect(runner!.counts().chaos.dropped).toBe(0);
  });

  it('drops messages, and says how many', async () => {
    const manifest = await storm({ seed: 6, drop: 0.3 }, 60);
    await until(async () => (await remaining(queueOf(manifest))) === 0);
    await until(() => handled().length + (runner?.counts().chaos.dropped ?? 0) === MESSAGES);
    expect(runner?.counts().chaos.dropped).toBeGreaterThan(0);
  });
});

describe('a schedule', () => {
  class TurnedClock implements Clock {
    private moment = Date.parse('2026-01-01T00:00:30.250Z');
    private alarms: { at: number; callback: () => void }[] = [];

    now(): number {
      return this.moment;
    }

    after(milliseconds: number, callback: () => void): () => void {
      const alarm = { at: this.moment + milliseconds, callback };
      this.alarms.push(alarm);
      return () => {
        this.alarms = this.alarms.filter((other) => other !== alarm);
      };
    }

    turn(milliseconds: number): void {
      const end = this.moment + milliseconds;
      for (;;) {
        const [next] = this.alarms.filter(({ at }) => at <= end).sort((left, right) => left.at - right.at);
        if (!next) break;
        this.alarms = this.alarms.filter((other) => other !== next);
        this.moment = next.at;
        next.callback();
      }
      this.moment = end;
    }
  }

  const scheduled = (): string[] =>
    entries()
      .flatMap((entry) => entry.scheduled ?? [])
      .sort();

  it('fires at its minutes with the event of EventBridge', async () => {
    const clock = new TurnedClock();
    const host = await start(single({ events: [{ schedule: 'cron(*/2 * * * ? *)' }] }), { clock });
    clock.turn(5 * 60_000);
    await until(() => scheduled().length === 2);
    expect(scheduled()).toEqual(['2026-01-01T00:02:00Z', '2026-01-01T00:04:00Z']);
    await host.fire('obedient');
    expect(scheduled()).toHaveLength(3);
  });

  it('is missed and doubled by chaos', async () => {
    const clock = new TurnedClock();
    const chaos = { seed: 1, scheduleMiss: 0.3, scheduleRepeat: 0.3 };
    const host = await start(single({ reservedConcurrency: 2, events: [{ schedule: 'rate(1 minute)' }] }), {
      clock,
      chaos,
    });
    clock.turn(20 * 60_000 + 1);
    const { scheduleMissed: missed, scheduleRepeated: repeated } = host.counts().chaos;
    expect(Math.min(missed, repeated)).toBeGreaterThan(0);
    await until(() => scheduled().length === 20 - missed + repeated);
  });
});

describe('the runner', () => {
  it('refuses a manifest that cannot run, naming everything that is wrong', async () => {
    const manifest: Manifest = {
      functions: [
        {
          name: 'a',
          bundle,
          timeoutSeconds: 10,
          environment: { URL: { queueUrl: 'nowhere' } },
          events: [{ queue: 'short' }, { queue: 'missing' }, { schedule: 'rate(1 minutes)' }],
        },
      ],
      queues: [
        { name: 'short', visibilityTimeoutSeconds: 30, deadLetter: { queue: 'gone', maxReceiveCount: 3 } },
      ],
    };
    await expect(start(manifest)).rejects.toMatchObject({
      code: 'LOCAL_MANIFEST_INVALID',
      message: expect.stringMatching(/gone.*6 times.*missing.*nowhere.*rate\(1 minutes\)/s),
    });
  });

  it('gives functions the URLs of queues', async () => {
    const host = await start({
      functions: [
        { ...single().functions[0], environment: { NEXT: { queueUrl: 'next' } } } as FunctionDefinition,
      ],
      queues: [{ name: 'next', visibilityTimeoutSeconds: 30 }],
    });
    const { value } = await host.invoke('obedient', { do: 'environment' });
    expect(value).toMatchObject({ NEXT: `${emulator.endpoint}/000000000000/next` });
  });

  it('lets running handlers finish, and leaves no process behind', async () => {
    const host = await start(single());
    const { value } = await host.invoke('obedient', { do: 'process' });
    const last = host.invoke('obedient', { do: 'sleep', ms: 200 });
    await sleep(50);
    await host.close();
    expect((await last).value).toMatchObject({ ms: 200 });
    expect(alive((value as { pid: number }).pid)).toBe(false);
  });

  it('that is killed takes its functions with it, frozen or busy', async () => {
    const program = fileURLToPath(new URL('./handlers/doomed-runner.ts', import.meta.url));
    const child = fork(program, [emulator.endpoint, bundle], { stdio: 'inherit' });
    const pids = await new Promise<number[]>((resolve) =>
      child.once('message', (message) => resolve(message as number[])),
    );
    expect(pids.every(alive)).toBe(true);
    child.kill('SIGKILL');
    await until(() => !pids.some(alive));
  });
});

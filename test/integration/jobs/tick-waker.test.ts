import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseJob } from '../../../lib/jobs/messages.ts';
import { TickWaker } from '../../../lib/jobs/tick-waker.ts';
import { type Emulator, startEmulator } from '../../../lib/local/emulator/server.ts';

let emulator: Emulator;
let directory: string;
let sqs: SQSClient;
let queueUrl: string;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'skytools-waker-'));
  emulator = await startEmulator({ directory, accessKeyId: 'test', secretAccessKey: 'secret' });
  sqs = new SQSClient({
    endpoint: emulator.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'secret' },
    maxAttempts: 1,
  });
  queueUrl = (await sqs.send(new CreateQueueCommand({ QueueName: 'tick' }))).QueueUrl!;
});
afterAll(async () => {
  sqs.destroy();
  await emulator.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Takes what lies in the queue; each must be a message that the tick function reads. */
async function received(): Promise<unknown[]> {
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 3600 }),
  );
  return Messages.map(({ Body }) => parseJob('tick', Body));
}
const tick = { v: 1, kind: 'tick', database: 'app' };

it('a producer wakes the tick; a burst of calls shares one message that is sent after the last of them', async () => {
  const waker = new TickWaker('app', { queueUrl, sqs, everyMs: 200 });
  expect(await waker.wake()).toBe(true);
  expect(await received()).toEqual([tick]);
  // Called within one turn of the event loop: all of them before the message, however long that takes.
  expect(await Promise.all(Array.from({ length: 50 }, () => waker.wake()))).toEqual(Array(50).fill(true));
  expect(await received()).toEqual([tick]);
});

it('a wake-up that cannot be sent fails nobody', async () => {
  const waker = new TickWaker('app', { queueUrl: queueUrl.replace(/tick$/, 'missing'), sqs });
  expect(await waker.wake()).toBe(false);
  expect(() => new TickWaker('app', { sqs })).toThrow(expect.objectContaining({ code: 'JOB_QUEUE_UNKNOWN' }));
});

it('any language can send it: a signed HTTP request to the API of SQS, as the guide has it', async () => {
  const request = (secret: string) =>
    promisify(execFile)('curl', [
      '--silent',
      '--fail',
      '--aws-sigv4',
      'aws:amz:us-east-1:sqs',
      '--user',
      `test:${secret}`,
      '--header',
      'Content-Type: application/x-amz-json-1.0',
      '--header',
      'X-Amz-Target: AmazonSQS.SendMessage',
      '--data',
      JSON.stringify({ QueueUrl: queueUrl, MessageBody: JSON.stringify(tick) }),
      emulator.endpoint,
    ]);
  await request('secret');
  expect(await received()).toEqual([tick]);
  await expect(request('wrong')).rejects.toThrow();
  expect(await received()).toEqual([]);
});

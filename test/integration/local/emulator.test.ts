// What only the embedded emulator promises: injected faults, state that survives it, refusal of what it cannot do.

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  StartMessageMoveTaskCommand,
} from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FaultRule } from '../../../lib/local/emulator/faults.ts';
import type { Emulator } from '../../../lib/local/emulator/server.ts';
import { freshBucket, freshEmulator, refusal, s3Client, sqsClient } from './service.ts';

let emulator: Emulator;
let directory: string;
let dispose: () => Promise<void>;
let s3: S3Client;

beforeAll(async () => {
  ({ emulator, directory, dispose } = await freshEmulator());
  s3 = s3Client(emulator.endpoint, { maxAttempts: 1 });
});
afterEach(() => {
  emulator.faults.clear();
});
afterAll(async () => {
  s3.destroy();
  await dispose();
});

async function exists(Bucket: string, Key: string): Promise<boolean> {
  return s3.send(new GetObjectCommand({ Bucket, Key })).then(
    () => true,
    () => false,
  );
}

describe('injected faults of S3', () => {
  const once = (operation: string, fault: FaultRule['fault']) =>
    emulator.faults.add({ operation, fault, count: 1 });

  it('SlowDown refuses before anything is done, and a client that retries succeeds', async () => {
    const Bucket = await freshBucket(s3);
    once('PutObject', { kind: 'status', status: 503, code: 'SlowDown' });
    const put = new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' });
    expect(await refusal(s3.send(put))).toEqual({ name: 'SlowDown', status: 503 });
    expect(await exists(Bucket, 'k')).toBe(false);
    const removeRule = once('PutObject', { kind: 'status', status: 503, code: 'SlowDown' });
    const patient = s3Client(emulator.endpoint);
    await patient.send(put);
    patient.destroy();
    expect(removeRule()).toBe(1);
  });

  it('a conditional write can be answered 409', async () => {
    const Bucket = await freshBucket(s3);
    once('PutObject', { kind: 'status', status: 409, code: 'ConditionalRequestConflict' });
    const put = s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', IfNoneMatch: '*' }));
    expect(await refusal(put)).toEqual({ name: 'ConditionalRequestConflict', status: 409 });
  });

  it('a time-out after success has written the object', async () => {
    const Bucket = await freshBucket(s3);
    once('PutObject', { kind: 'silence' });
    const patience = new AbortController();
    const call = s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }), {
      abortSignal: patience.signal,
    });
    call.catch(() => {});
    await expect.poll(() => exists(Bucket, 'k')).toBe(true);
    patience.abort();
    await expect(call).rejects.toThrow();
  });

  it('a reset comes before the work, or after it', async () => {
    const Bucket = await freshBucket(s3);
    once('PutObject', { kind: 'reset' });
    await expect(s3.send(new PutObjectCommand({ Bucket, Key: 'before', Body: 'x' }))).rejects.toThrow();
    expect(await exists(Bucket, 'before')).toBe(false);
    once('PutObject', { kind: 'reset', afterSuccess: true });
    await expect(s3.send(new PutObjectCommand({ Bucket, Key: 'after', Body: 'x' }))).rejects.toThrow();
    expect(await exists(Bucket, 'after')).toBe(true);
  });

  it('a truncated or corrupted GET is noticed by its reader', async () => {
    const Bucket = await freshBucket(s3);
    const Body = randomBytes(1_000_000);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body }));
    for (const kind of ['truncate', 'corrupt'] as const) {
      once('GetObject', { kind });
      const read = s3
        .send(new GetObjectCommand({ Bucket, Key: 'k' }))
        .then((got) => got.Body?.transformToByteArray());
      await expect(read).rejects.toThrow();
    }
  });

  it('probability is drawn from the seed, resource and count limit a rule', async () => {
    const struck = async (seed: number): Promise<boolean[]> => {
      const fresh = await freshEmulator({
        seed,
        faults: [
          {
            operation: '*',
            resource: /^wal/,
            fault: { kind: 'status', status: 500, code: 'InternalError' },
            probability: 0.5,
          },
        ],
      });
      const client = s3Client(fresh.emulator.endpoint, { maxAttempts: 1 });
      await client.send(new CreateBucketCommand({ Bucket: 'bucket' }));
      const results = [];
      for (let at = 0; at < 12; at++) {
        const put = client.send(new PutObjectCommand({ Bucket: 'bucket', Key: `wal${at}`, Body: 'x' }));
        results.push(
          await put.then(
            () => false,
            () => true,
          ),
        );
      }
      client.destroy();
      await fresh.dispose();
      return results;
    };
    const first = await struck(7);
    expect(first).toContain(true);
    expect(first).toContain(false);
    expect(await struck(7)).toEqual(first);
  });
});

describe('S3 over a directory', () => {
  it('objects and uploads survive the emulator, unfinished bodies leave nothing', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'skytools-s3-'));
    const first = await freshEmulator({ directory });
    let client = s3Client(first.emulator.endpoint);
    const Bucket = 'kept';
    await client.send(new CreateBucketCommand({ Bucket }));
    await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', Metadata: { m: '1' } }));
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'b' }));
    const part = await client.send(
      new UploadPartCommand({ Bucket, Key: 'b', UploadId, PartNumber: 1, Body: 'part' }),
    );
    const wrong = client.send(
      new PutObjectCommand({
        Bucket,
        Key: 'c',
        Body: 'x',
        ContentMD5: createHash('md5').update('y').digest('base64'),
      }),
    );
    expect((await refusal(wrong)).name).toBe('BadDigest');
    expect(await readdir(join(directory, Bucket, 'blobs'))).toHaveLength(2);
    client.destroy();
    await first.emulator.close();

    const second = await freshEmulator({ directory });
    client = s3Client(second.emulator.endpoint);
    const got = await client.send(new GetObjectCommand({ Bucket, Key: 'a' }));
    expect([await got.Body?.transformToString(), got.Metadata]).toEqual(['x', { m: '1' }]);
    const { $metadata: _, ...sums } = part;
    await client.send(
      new CompleteMultipartUploadCommand({
        Bucket,
        Key: 'b',
        UploadId,
        MultipartUpload: { Parts: [{ PartNumber: 1, ...sums }] },
      }),
    );
    expect(
      await (await client.send(new GetObjectCommand({ Bucket, Key: 'b' }))).Body?.transformToString(),
    ).toBe('part');
    client.destroy();
    await second.dispose();
    await rm(directory, { recursive: true, force: true });
  });

  it('a directory made by hand is a bucket', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'skytools-s3-'));
    await mkdir(join(directory, 'by-hand'));
    const fresh = await freshEmulator({ directory });
    const client = s3Client(fresh.emulator.endpoint);
    await client.send(new PutObjectCommand({ Bucket: 'by-hand', Key: 'k', Body: 'x' }));
    client.destroy();
    await fresh.dispose();
  });

  it('a reader keeps its object while it is replaced and deleted', async () => {
    const Bucket = await freshBucket(s3);
    const Body = randomBytes(8 * 1024 ** 2);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body }));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'k' }));
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'new' }));
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k' }));
    expect(Body.equals(Buffer.from((await got.Body?.transformToByteArray()) ?? []))).toBe(true);
  });

  it('a deletion during a conditional write makes the write lose with 409', async () => {
    const Bucket = await freshBucket(s3);
    const put = await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'old' }));
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* slowly(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(100_000);
      await held;
      yield Buffer.alloc(100_000);
    }
    const writing = refusal(
      s3.send(
        new PutObjectCommand({
          Bucket,
          Key: 'k',
          Body: Readable.from(slowly()),
          ContentLength: 200_000,
          IfMatch: put.ETag as string,
        }),
      ),
    );
    // The body has begun to arrive once its blob exists beside the old one.
    await expect.poll(() => readdir(join(directory, Bucket, 'blobs'))).toHaveLength(2);
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k' }));
    release();
    expect(await writing).toEqual({ name: 'ConditionalRequestConflict', status: 409 });
  });

  it('what is not emulated is refused, and never taken for the object itself', async () => {
    const Bucket = await freshBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
    expect((await refusal(s3.send(new GetObjectAclCommand({ Bucket, Key: 'k' })))).status).toBe(501);
    expect(
      (await refusal(s3.send(new PutObjectAclCommand({ Bucket, Key: 'k', ACL: 'private' })))).status,
    ).toBe(501);
    expect(await (await s3.send(new GetObjectCommand({ Bucket, Key: 'k' }))).Body?.transformToString()).toBe(
      'x',
    );
  });
});

describe('SQS', () => {
  it('chaos loses, repeats and delays as its seed says, and counts it', async () => {
    const { emulator: chaotic, dispose: end } = await freshEmulator({
      seed: 3,
      queueChaos: { lose: 0.2, duplicate: 0.2, delay: { probability: 0.2, maximumSeconds: 0.2 } },
    });
    const sqs = sqsClient(chaotic.endpoint);
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'q' }));
    for (let at = 0; at < 50; at++)
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: `${at}` }));
    const counts = chaotic.sqs.counts();
    expect(Math.min(counts.lost, counts.duplicated, counts.delayed)).toBeGreaterThan(0);
    const bodies: (string | undefined)[] = [];
    const receive = async () => {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 3600 }),
      );
      return bodies.push(...Messages.map((message) => message.Body));
    };
    // All of them are visible a fifth of a second later.
    const last = performance.now() + 200;
    await expect.poll(receive).toBeGreaterThanOrEqual(50 - counts.lost + counts.duplicated);
    while (performance.now() < last) await receive();
    expect(await receive()).toBe(50 - counts.lost + counts.duplicated);
    expect(new Set(bodies).size).toBe(50 - counts.lost);
    sqs.destroy();
    await end();
  });

  it('messages in a dead-letter queue are sent back where they came from', async () => {
    const sqs = sqsClient(emulator.endpoint);
    const dead = await sqs.send(new CreateQueueCommand({ QueueName: 'redrive-dead' }));
    const deadArn = 'arn:aws:sqs:us-east-1:000000000000:redrive-dead';
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: deadArn, maxReceiveCount: 1 });
    const live = await sqs.send(
      new CreateQueueCommand({ QueueName: 'redrive-live', Attributes: { RedrivePolicy } }),
    );
    await sqs.send(new SendMessageCommand({ QueueUrl: live.QueueUrl, MessageBody: 'x' }));
    const receive = (QueueUrl: string | undefined) =>
      sqs.send(new ReceiveMessageCommand({ QueueUrl, VisibilityTimeout: 0 }));
    await receive(live.QueueUrl);
    expect((await receive(live.QueueUrl)).Messages).toBeUndefined();
    expect((await receive(dead.QueueUrl)).Messages).toHaveLength(1);
    await sqs.send(new StartMessageMoveTaskCommand({ SourceArn: deadArn }));
    expect((await receive(live.QueueUrl)).Messages).toHaveLength(1);
    sqs.destroy();
  });

  it('a thousand messages pass through in batches', async () => {
    const sqs = sqsClient(emulator.endpoint);
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'many' }));
    let received = 0;
    for (let at = 0; at < 100; at++) {
      const Entries = Array.from({ length: 10 }, (_, index) => ({
        Id: `${index}`,
        MessageBody: `${at}/${index}`,
      }));
      await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
    }
    while (received < 1000) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }),
      );
      expect(Messages.length).toBeGreaterThan(0);
      received += Messages.length;
      const Entries = Messages.map(({ ReceiptHandle }, index) => ({ Id: `${index}`, ReceiptHandle }));
      await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
    }
    expect(received).toBe(1000);
    sqs.destroy();
  });
});

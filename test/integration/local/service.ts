import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { type Emulator, type EmulatorOptions, startEmulator } from '../../../lib/local/emulator/server.ts';

export const KEYS = { accessKeyId: 'AKIDLOCALTEST', secretAccessKey: 'local-test-secret' };

/** An emulator over a fresh directory, both removed by `dispose`. */
export async function freshEmulator(
  options: Partial<EmulatorOptions> = {},
): Promise<{ emulator: Emulator; directory: string; dispose(): Promise<void> }> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'skytools-s3-')));
  const emulator = await startEmulator({ ...KEYS, ...options, directory });
  return {
    emulator,
    directory,
    dispose: async () => {
      await emulator.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function s3Client(endpoint: string, more: S3ClientConfig = {}): S3Client {
  return new S3Client({ endpoint, region: 'us-east-1', credentials: KEYS, forcePathStyle: true, ...more });
}

export function sqsClient(endpoint: string): SQSClient {
  return new SQSClient({ endpoint, region: 'us-east-1', credentials: KEYS });
}

let buckets = 0;

/** A bucket of its own for one test, so that the suite also runs against a service that others use. */
export async function freshBucket(s3: S3Client): Promise<string> {
  const Bucket = `contract-${process.pid}-${Date.now().toString(36)}-${++buckets}`;
  await s3.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

/** The error of a call that must fail: its name and HTTP status. */
export async function refusal(call: Promise<unknown>): Promise<{ name: string; status: number | undefined }> {
  try {
    await call;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    return { name, status: $metadata?.httpStatusCode };
  }
  throw new Error('the call was expected to fail');
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CreateBucketCommand, PutObjectCommand, S3Client as SdkClient } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hintsFromEnvironment, type IdleHints } from '../../../lib/jobs/idle-hints.ts';
import { type Emulator, startEmulator } from '../../../lib/local/emulator/server.ts';

let emulator: Emulator;
let directory: string;
let sdk: SdkClient;
let hints: IdleHints;

beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'skytools-hints-'));
  emulator = await startEmulator({ directory, accessKeyId: 'test', secretAccessKey: 'test' });
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: 'us-east-1',
  });
  sdk = new SdkClient({ endpoint: emulator.endpoint, forcePathStyle: true });
  await sdk.send(new CreateBucketCommand({ Bucket: 'hints' }));
  hints = hintsFromEnvironment({
    SKYTOOLS_HINTS_BUCKET: 'hints',
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_REGION: 'us-east-1',
  })!;
});

afterAll(async () => {
  sdk.destroy();
  await emulator.close();
  rmSync(directory, { recursive: true, force: true });
});

const names = ['a', 'b', 'c'];

describe('idle hints', () => {
  it('are asked of nobody where no bucket is configured', () => {
    expect(hintsFromEnvironment({})).toBeUndefined();
  });

  it('let the sweep leave a sleeping database alone until its time', async () => {
    expect(await hints.due(names)).toEqual(names);
    await hints.note('b', Date.now() + 60_000);
    expect(await hints.due(names)).toEqual(['a', 'c']);
    expect(await hints.due(names, Date.now() + 61_000)).toEqual(names);
  });

  it('are taken back by a database that wakes', async () => {
    await hints.note('b', Date.now() + 60_000);
    await hints.note('b', 0);
    expect(await hints.due(names)).toEqual(names);
  });

  it('of many databases written at the same moment do not erase each other', async () => {
    await Promise.all(names.map((name) => hints.note(name, Date.now() + 60_000)));
    const due = await hints.due(names);
    // A writer that lost three races gives up: one tick more than needed.
    expect(due.length).toBeLessThan(names.length);
    for (const name of due) await hints.note(name, Date.now() + 60_000);
    expect(await hints.due(names)).toEqual([]);
  });

  it('that cannot be read leave every database ticked', async () => {
    await sdk.send(new PutObjectCommand({ Bucket: 'hints', Key: 'hints/idle.json', Body: 'no json' }));
    expect(await hints.due(names)).toEqual(names);
  });

  it('of a store that is down leave every database ticked, in a few seconds', async () => {
    await emulator.close();
    expect(await hints.due(names)).toEqual(names);
  });
});

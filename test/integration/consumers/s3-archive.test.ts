import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ConsumerStack, consumerStack, emulatedServices } from './stack.ts';

const services = emulatedServices();

let s3: S3Client;
beforeAll(() => {
  s3 = new S3Client({ endpoint: services.endpoint, forcePathStyle: true });
});
afterAll(() => s3.destroy());

let buckets = 0;
async function archive(settings: Record<string, unknown> = {}) {
  const bucket = `archive-${process.pid}-${++buckets}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  const stack = await consumerStack(() => ({ kind: 's3-archive', bucket, ...settings }));
  const keys = async () =>
    ((await s3.send(new ListObjectsV2Command({ Bucket: bucket }))).Contents ?? []).map(({ Key }) => Key!);
  const events = async (key: string) => {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    const bytes = Buffer.from(await Body!.transformToByteArray());
    const text = (key.endsWith('.gz') ? gunzipSync(bytes) : zstdDecompressSync(bytes)).toString('utf8');
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  return { bucket, stack, keys, events };
}

/** Ends the transaction in which the position is recorded, after the object was written: once. */
async function cutAtPosition(stack: ConsumerStack): Promise<void> {
  await stack.source.query(`create sequence public.cut;
    create function public.cut_once() returns trigger language plpgsql as $$
    begin
      if nextval('public.cut') = 1 then perform pg_terminate_backend(pg_backend_pid()); end if;
      return new;
    end $$;
    create constraint trigger cut after update on pgq.subscription deferrable initially deferred
      for each row when (old.sub_batch is not null and new.sub_batch is null) execute function public.cut_once()`);
}

it('keeps a batch as one compressed object, named after queue, day and ticks', async () => {
  const { stack, keys, events } = await archive();
  await stack.produce(['placed', '{"id":\n1}', 'eu'], [null, null]);
  expect(await stack.consume()).toBe(true);
  const [key, ...others] = await keys();
  expect(others).toEqual([]);
  expect(key).toMatch(/^q\/\d{4}\/\d\d\/\d\d\/\d+-\d+-1\.ndjson\.zst$/);
  expect(await events(key!)).toEqual([
    expect.objectContaining({ id: 1, type: 'placed', data: '{"id":\n1}', extra1: 'eu' }),
    expect.objectContaining({ id: 2, type: null, data: null }),
  ]);
  // An empty batch makes no object.
  await stack.tick();
  expect(await stack.consume()).toBe(true);
  expect(await keys()).toHaveLength(1);
  expect(await stack.caughtUp()).toBe(true);
});

it('gzip, a key by template, and data as JSON where it is JSON', async () => {
  const { stack, keys, events } = await archive({
    compression: 'gzip',
    key: 'dt={year}-{month}-{day}/h={hour}/{database}.{queue}.{consumer}.{tick}.{event}.json',
    data: 'json',
  });
  await stack.produce(['t', '{"n": 1}'], ['t', 'no JSON']);
  expect(await stack.consume()).toBe(true);
  const [key] = await keys();
  expect(key).toMatch(/^dt=\d{4}-\d\d-\d\d\/h=\d\d\/t_\w+\.q\.c\.\d+\.1\.json\.gz$/);
  expect((await events(key!)).map(({ data }) => data)).toEqual([{ n: 1 }, 'no JSON']);
});

it('a large batch becomes several objects, one for each run, with every event once and in order', async () => {
  const { stack, keys, events } = await archive({ objectBytes: 65_536 });
  await stack.source.query(
    `select pgq.insert_event('q', 't', repeat('x', 400) || i) from generate_series(1, 1000) i`,
  );
  await stack.tick();
  let runs = 0;
  while (!(await stack.caughtUp())) {
    expect(await stack.consume()).toBe(true);
    expect(await keys()).toHaveLength(++runs);
  }
  expect(runs).toBeGreaterThan(4);
  const ids: number[] = [];
  for (const key of await keys()) ids.push(...(await events(key)).map(({ id }) => id));
  expect(ids.sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, n) => n + 1));
});

it('a worker cut off after the object was written writes no second one: doing it twice is once', async () => {
  const { stack, keys, events } = await archive();
  await cutAtPosition(stack);
  await stack.produce(['t', '1'], ['t', '2']);
  expect(await stack.consume()).toBe(false);
  const written = await keys();
  expect(written).toHaveLength(1);
  expect(await stack.caughtUp()).toBe(false);
  await stack.catchUp();
  expect(await stack.consume()).toBe(true);
  expect(await keys()).toEqual(written);
  expect(await events(written[0]!)).toHaveLength(2);
  expect(await stack.caughtUp()).toBe(true);
});

it('where ticks are gathered into larger batches, a worker cut off keeps its batch, and no event is in two objects', async () => {
  const { stack, keys, events } = await archive({ minCount: 2, key: '{batch}-{tick}-{event}' });
  await cutAtPosition(stack);
  await stack.produce(['t', '1'], ['t', '2']);
  expect(await stack.consume()).toBe(false);
  // Now a batch could end at a later tick.
  await stack.produce(['t', '3'], ['t', '4']);
  await stack.catchUp();
  expect(await stack.consume()).toBe(true);
  const archived: string[] = [];
  for (const key of await keys()) archived.push(...(await events(key)).map(({ data }) => data));
  expect(archived.sort()).toEqual(['1', '2', '3', '4']);
  expect(await stack.caughtUp()).toBe(true);
});

it('never overwrites an object with other content, and says which', async () => {
  const { bucket, stack, keys } = await archive();
  await cutAtPosition(stack);
  await stack.produce(['t', '1']);
  expect(await stack.consume()).toBe(false);
  const [key] = await keys();
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key!, Body: 'other' }));
  await stack.source.quiet();
  expect(await stack.consume()).toBe(false);
  expect(await stack.caughtUp()).toBe(false);
  const kept = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key! }));
  expect(await kept.Body!.transformToString()).toBe('other');
  await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key! }));
  expect(await stack.consume()).toBe(true);
  expect(await stack.caughtUp()).toBe(true);
});

it('a store that is overloaded for a moment (503 SlowDown) is asked again', async () => {
  const { stack, keys } = await archive();
  await stack.produce(['t', '1']);
  const stop = services.emulator.faults.add({
    operation: 'PutObject',
    fault: { kind: 'status', status: 503, code: 'SlowDown' },
    count: 2,
  });
  expect(await stack.consume()).toBe(true);
  expect(stop()).toBe(2);
  expect(await keys()).toHaveLength(1);
});

it('two workers at once write one object', async () => {
  const { stack, keys } = await archive();
  await stack.produce(['t', '1']);
  await Promise.all([stack.consume(), stack.consume(), stack.consume()]);
  expect(await keys()).toHaveLength(1);
  expect(await stack.caughtUp()).toBe(true);
});

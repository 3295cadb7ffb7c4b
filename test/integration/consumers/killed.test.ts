// The built consume function in processes of its own, killed (SIGKILL) in the middle of a batch.

import { zstdDecompressSync } from 'node:zlib';
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import type { SQSBatchResponse } from 'aws-lambda';
import { expect, it, onTestFinished } from 'vitest';
import { localManifest } from '../../../lib/local/demo/manifest.ts';
import { startRunner } from '../../../lib/local/runner/runner.ts';
import { until } from '../../support/cluster.ts';
import { startRecordingServer } from '../../support/recording-server.ts';
import { type ConsumerStack, consumerStack, emulatedServices, wakeUp } from './stack.ts';

const services = emulatedServices();

/** The consume function of a stack as the local runner runs it; nothing but these calls wakes it. */
async function consumeFunction({ source, configFile, caughtUp }: ConsumerStack) {
  const manifest = localManifest('dist/functions');
  const functions = manifest.functions
    .filter(({ name }) => name === 'consume')
    .map((each) => ({ ...each, events: [] }));
  const runner = await startRunner(
    { ...manifest, functions },
    { ...services.emulator, environment: { SKYTOOLS_CONFIG_FILE: configFile } },
  );
  onTestFinished(() => runner.close(0));
  const invoke = () => runner.invoke('consume', wakeUp(source.name));
  return {
    /** Starts on a batch and kills the process as soon as it is where it shall die. */
    async dieAt(what: string, reached: () => Promise<boolean>): Promise<void> {
      const invocation = invoke();
      await until(what, reached);
      expect(runner.running('consume').map((each) => each.kill())).toEqual([true]);
      expect((await invocation).error?.errorMessage).toContain('sigkill');
    },
    /** As the ticks do: wakes the consumer until it has done all; the dead worker's lease is not waited for. */
    async catchUp(): Promise<void> {
      await source.query('update pgq.consumer_lease set lease_until = now()');
      await until('the consumer', async () => {
        const { batchItemFailures } = (await invoke()).value as SQSBatchResponse;
        return batchItemFailures.length === 0 && (await caughtUp());
      });
    },
  };
}

/** Has updates of a table wait between `hold` and `letGo`. */
async function holdUp({ source }: ConsumerStack, table: string, trigger: 'before' | 'at commit') {
  const when =
    trigger === 'before'
      ? `create trigger hold_up before update on ${table}`
      : `create constraint trigger hold_up after update on ${table} deferrable initially deferred`;
  await source.query(`
    create function public.hold_up() returns trigger language plpgsql as
      'begin perform pg_advisory_xact_lock_shared(1); return new; end';
    ${when} for each row execute function public.hold_up()`);
  const client = await source.connect();
  return {
    hold: () => client.query('select pg_advisory_lock(1)'),
    async waits(): Promise<boolean> {
      const [row] = await source.query<{ waits: boolean }>(
        `select exists (select from pg_locks where locktype = 'advisory' and not granted and database =
                  (select oid from pg_database where datname = current_database())) as waits`,
      );
      return row!.waits;
    },
    async letGo(): Promise<void> {
      await client.query('select pg_advisory_unlock(1)');
      await source.query(`drop trigger hold_up on ${table}; drop function public.hold_up`);
    },
  };
}

it('http: killed at any request or before it records its position, every event arrives, repeated requests are recognised', async () => {
  const endpoint = await startRecordingServer();
  onTestFinished(() => endpoint.close());
  const stack = await consumerStack(() => ({ kind: 'http', url: endpoint.url, maximumEvents: 2 }));
  const worker = await consumeFunction(stack);
  const keys = () => endpoint.requests.map(({ headers }) => headers['idempotency-key']);
  const sent = () =>
    endpoint.requests.map(({ body }) =>
      body
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).data),
    );
  const batch = [['1', '2'], ['3', '4'], ['5']];
  const produce = () => stack.produce(...batch.flat().map((data) => ['t', data] as const));

  for (const fatal of [1, 2, 3]) {
    endpoint.requests.length = 0;
    endpoint.answer = () => (endpoint.requests.length === fatal ? new Promise(() => {}) : { status: 200 });
    await produce();
    await worker.dieAt(`request ${fatal}`, async () => endpoint.requests.length === fatal);
    await worker.catchUp();
    expect(sent()).toEqual([...batch.slice(0, fatal), ...batch]);
    expect(keys().slice(0, fatal)).toEqual(keys().slice(fatal, 2 * fatal));
    expect(new Set(keys()).size).toBe(3);
  }

  endpoint.requests.length = 0;
  // The renewal of the lease, with which the end of a batch begins.
  const held = await holdUp(stack, 'pgq.consumer_lease', 'before');
  endpoint.answer = async () => {
    if (endpoint.requests.length === batch.length) await held.hold();
    return { status: 200 };
  };
  await produce();
  await worker.dieAt('the position', held.waits);
  await held.letGo();
  endpoint.answer = () => ({ status: 200 });
  await worker.catchUp();
  expect(sent()).toEqual([...batch, ...batch]);
  expect(new Set(keys()).size).toBe(3);
});

it('s3-archive: killed before, during and after the PUT and around the commit, every event is in one object', async () => {
  const bucket = `killed-${process.pid}`;
  const s3 = new S3Client({ endpoint: services.endpoint, forcePathStyle: true });
  onTestFinished(() => s3.destroy());
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  const stack = await consumerStack(() => ({ kind: 's3-archive', bucket, objectBytes: 65_536 }));
  const worker = await consumeFunction(stack);
  const keys = async () =>
    ((await s3.send(new ListObjectsV2Command({ Bucket: bucket }))).Contents ?? []).map(({ Key }) => Key!);
  const archived = async () => {
    const numbers: number[] = [];
    for (const Key of await keys()) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
      const text = zstdDecompressSync(await Body!.transformToByteArray()).toString('utf8');
      for (const line of text.trimEnd().split('\n')) numbers.push(Number(JSON.parse(line).data.slice(400)));
    }
    return numbers.sort((a, b) => a - b);
  };
  let produced = 0;
  const produce = async (events: number) => {
    await stack.source.query(
      `select pgq.insert_event('q', 't', repeat('x', 400) || i)
         from generate_series(${produced + 1}, ${produced + events}) i`,
    );
    produced += events;
    await stack.tick();
  };
  const all = () => Array.from({ length: produced }, (_, n) => n + 1);

  const strike = async (fault: Parameters<typeof services.emulator.faults.add>[0]['fault']) => {
    const before = (await keys()).length;
    const remove = services.emulator.faults.add({ operation: 'PutObject', fault, count: 1 });
    const name = `PutObject ${fault.kind}`;
    const struck = services.emulator.faults.counts()[name] ?? 0;
    const done = async () =>
      fault.kind === 'silence'
        ? (await keys()).length > before
        : (services.emulator.faults.counts()[name] ?? 0) > struck;
    await worker.dieAt(name, done);
    remove();
  };

  // The PUT of the dead worker arrives beside its successor's. Two objects a batch.
  await produce(200);
  await strike({ kind: 'delay', milliseconds: 500 });
  await worker.catchUp();
  // It was done, and nobody knows.
  await produce(200);
  await strike({ kind: 'silence' });
  await worker.catchUp();
  // Within the transaction that records the position, and while that commits.
  for (const when of ['before', 'at commit'] as const) {
    await produce(50);
    await stack.source.query(`select pgq.next_batch('q', 'c')`);
    const held = await holdUp(stack, 'pgq.subscription', when);
    await held.hold();
    const objects = (await keys()).length;
    await worker.dieAt('the position', async () => (await keys()).length > objects && (await held.waits()));
    await held.letGo();
    await worker.catchUp();
  }

  expect(await archived()).toEqual(all());
  expect(await keys()).toHaveLength(6);
});

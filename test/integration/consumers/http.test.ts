import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { queueDueWork } from '../../../lib/pgq/due-work.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { type RecordingServer, startRecordingServer } from '../../support/recording-server.ts';
import { consumerStack, emulatedServices } from './stack.ts';

emulatedServices();

let endpoint: RecordingServer;
beforeEach(async () => {
  endpoint = await startRecordingServer();
});
afterEach(() => endpoint.close());

const stackOf = (settings: Record<string, unknown> = {}) =>
  consumerStack(() => ({ kind: 'http', url: endpoint.url, attempts: 2, ...settings }));

/** Ends the worker's connections at the server, as its death would. */
const cutConnections = (stack: Awaited<ReturnType<typeof stackOf>>) =>
  stack.source.query(
    `select pg_terminate_backend(pid, 10000) from pg_stat_activity
      where datname = current_database() and application_name like 'skytools%'`,
  );

/** Ids of the events in each request. */
const sent = () =>
  endpoint.requests.map(({ body, headers }) =>
    (headers['content-type'] === 'application/x-ndjson'
      ? body
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line))
      : [JSON.parse(body)].flat()
    ).map(({ id }) => id),
  );

const some = (count: number) =>
  Array.from({ length: count }, (_, n) => [`t${n + 1}`, `data ${n + 1}`] as const);

it('posts a batch as NDJSON, with its queue, consumer and batch named', async () => {
  const stack = await stackOf({ headers: { authorization: 'Bearer x' } });
  const begun = Date.now();
  await stack.produce(['placed', '{"a":\n 1}', 'é'], [null, null]);
  expect(await stack.consume()).toBe(true);
  const [request] = endpoint.requests;
  const lines = request!.body.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ id: 1, type: 'placed', data: '{"a":\n 1}', extra1: 'é', retry: 0 }),
    expect.objectContaining({ id: 2, type: null, data: null }),
  ]);
  expect(new Date(JSON.parse(lines[0]!).time).getTime()).toBeGreaterThanOrEqual(begun);
  expect(request!.headers).toMatchObject({
    'content-type': 'application/x-ndjson',
    'skytools-queue': 'q',
    'skytools-consumer': 'c',
    authorization: 'Bearer x',
  });
  expect(await stack.caughtUp()).toBe(true);
});

it('posts JSON arrays, or single events, with the data as JSON', async () => {
  const arrays = await stackOf({ format: 'json', data: 'json', maximumEvents: 2 });
  await arrays.produce(['t', '{"n": 12345678901234567890}'], ['t', '[1,\n2]'], ['t', null]);
  expect(await arrays.consume()).toBe(true);
  expect(sent()).toEqual([[1, 2], [3]]);
  expect(endpoint.requests[0]!.body).toContain('"data":{"n": 12345678901234567890}');
  endpoint.requests.length = 0;
  const single = await stackOf({ format: 'event' });
  await single.produce(...some(2));
  expect(await single.consume()).toBe(true);
  expect(sent()).toEqual([[1], [2]]);
  expect(JSON.parse(endpoint.requests[0]!.body)).toMatchObject({ id: 1, data: 'data 1' });
});

it('signs what it sends, with both secrets while one takes the place of the other', async () => {
  process.env.HOOK_OLD = 'old secret';
  process.env.HOOK_NEW = `whsec_${Buffer.from('new secret').toString('base64')}`;
  const stack = await stackOf({ secret: ['env:HOOK_OLD', 'env:HOOK_NEW'] });
  await stack.produce(['t', 'ü']);
  const begun = Math.floor(Date.now() / 1000);
  expect(await stack.consume()).toBe(true);
  const { headers, body } = endpoint.requests[0]!;
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const expected = ['old secret', 'new secret'].map(
    (key) => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`,
  );
  expect(headers['webhook-signature']).toBe(expected.join(' '));
  expect(Number(headers['webhook-timestamp'])).toBeGreaterThanOrEqual(begun);
  expect(Number(headers['webhook-timestamp'])).toBeLessThanOrEqual(Date.now() / 1000);
});

it('at least once: an answer that was lost brings the same request again, under the same idempotency key', async () => {
  const stack = await stackOf({ maximumEvents: 2 });
  await stack.produce(...some(4));
  endpoint.answer = () => (endpoint.requests.length === 2 ? 'drop' : { status: 200 });
  expect(await stack.consume()).toBe(true);
  expect(sent()).toEqual([
    [1, 2],
    [3, 4],
    [3, 4],
  ]);
  const keys = endpoint.requests.map(({ headers }) => headers['idempotency-key']);
  expect(keys[1]).toBe(keys[2]);
  expect(new Set(keys).size).toBe(2);
  expect(await stack.caughtUp()).toBe(true);
});

it('a worker whose connection was cut in the middle sends again what it had not recorded, and nothing is left out', async () => {
  const stack = await stackOf({ maximumEvents: 3 });
  await stack.produce(...some(6));
  endpoint.answer = async () => {
    if (endpoint.requests.length === 1) await cutConnections(stack);
    return { status: 200 };
  };
  expect(await stack.consume()).toBe(false);
  await stack.letProbe();
  expect(await stack.consume()).toBe(true);
  const ids = sent();
  expect(ids.slice(-2)).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  expect(await stack.caughtUp()).toBe(true);
});

it('a slow endpoint: what it took is recorded every five seconds, and a worker that dies later sends only the rest again', async () => {
  const stack = await stackOf({ maximumEvents: 2, maximumBytes: 1024 });
  await stack.produce(...some(4), ['t', 'x'.repeat(2000)], ['t', 'data 6']);
  let slept = 0;
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + slept);
  onTestFinished(() => clock.mockRestore());
  const dead = async () => (await stack.source.query('select ev_id from pgq.failed_queue')).length;
  const deadAtRequest: number[] = [];
  endpoint.answer = async () => {
    slept += 6_000;
    deadAtRequest.push(await dead());
    if (endpoint.requests.length === 3) await cutConnections(stack);
    return { status: 200 };
  };
  expect(await stack.consume()).toBe(false);
  await stack.letProbe();
  expect(await stack.consume()).toBe(true);
  expect(sent()).toEqual([[1, 2], [3, 4], [6], [6]]);
  // The event that is too large was seen with the first block, and is given up when the position passes it.
  expect(deadAtRequest).toEqual([0, 0, 0, 0]);
  expect(await dead()).toBe(1);
  expect(await stack.caughtUp()).toBe(true);
});

it('a slow endpoint: what a worker that died has sent since its record comes again as the same requests, across blocks too', async () => {
  const stack = await stackOf({ maximumEvents: 300 });
  await stack.produce(...some(505));
  let slept = 0;
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + slept);
  onTestFinished(() => clock.mockRestore());
  endpoint.answer = async () => {
    slept += 6_000;
    if (endpoint.requests.length === 2) await cutConnections(stack);
    return { status: 200 };
  };
  expect(await stack.consume()).toBe(false);
  await stack.letProbe();
  expect(await stack.consume()).toBe(true);
  expect(sent().map((ids) => [ids[0], ids.at(-1)])).toEqual([
    [1, 300],
    [301, 505],
    [301, 505],
  ]);
  expect(new Set(endpoint.requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(2);
  expect(await stack.caughtUp()).toBe(true);
});

it('an event that the endpoint refuses is found among its neighbours, retried, and in the end a dead letter', async () => {
  const stack = await stackOf({ retries: { maximum: 1, baseSeconds: 1, maximumSeconds: 1 } });
  await stack.produce(...some(5));
  endpoint.answer = ({ body }) => ({ status: body.includes('data 4') ? 422 : 200 });
  expect(await stack.consume()).toBe(true);
  expect(sent()).toEqual([[1, 2, 3, 4, 5], [1, 2, 3], [4, 5], [4], [5]]);
  expect(await stack.dead()).toEqual([]);
  await stack.bringBack();
  while (!(await stack.caughtUp())) expect(await stack.consume()).toBe(true);
  expect(await stack.dead()).toEqual([[4, 'HTTP 422']]);
  const keys = endpoint.requests.filter(({ body }) => body.includes('data 4')).map(({ headers }) => headers);
  expect(keys.at(-1)!['idempotency-key']).not.toBe(keys.at(-2)!['idempotency-key']);
});

it('an event that is no JSON, or is too large, is a dead letter without a request', async () => {
  const stack = await stackOf({ data: 'json', maximumBytes: 1024 });
  await stack.produce(['t', 'not JSON'], ['t', JSON.stringify('x'.repeat(2000))], ['t', '1']);
  expect(await stack.consume()).toBe(true);
  expect(sent()).toEqual([[3]]);
  expect(await stack.dead()).toEqual([
    [1, 'ev_data is not JSON'],
    [2, expect.stringContaining('larger than')],
  ]);
});

it('an endpoint that is down costs one request an interval, and nothing is lost', async () => {
  const stack = await stackOf({ maximumEvents: 2, probeSeconds: 30, maximumProbeSeconds: 100 });
  await stack.produce(...some(4));
  let up = false;
  endpoint.answer = () => ({ status: up ? 200 : 503 });
  expect(await stack.consume()).toBe(true);
  expect(endpoint.requests).toHaveLength(2);
  const circuit = async () =>
    (
      await stack.source.query<{ failures: number; reason: string; seconds: number; waiting: boolean }>(
        `select failures, reason, waiting, extract(epoch from probe_at - now())::int as seconds from pgq.get_circuit('q', 'c')`,
      )
    )[0];
  expect(await circuit()).toMatchObject({ failures: 1, reason: 'HTTP 503', waiting: true });
  // Open: neither messages nor ticks lead to a request.
  expect(await stack.consume()).toBe(true);
  expect(await stack.consume()).toBe(true);
  const client = await stack.source.connect();
  const config = parseConfig({
    databases: { d: { url: stack.source.url } },
    consumers: { c: { kind: 'http', database: 'd', queue: 'q', url: endpoint.url } },
  });
  const woken = async () =>
    (await queueDueWork(client, config, 'd')).jobs.filter(({ kind }) => kind === 'consume');
  expect(await woken()).toEqual([]);
  expect(endpoint.requests).toHaveLength(2);
  // One probe after each interval, which doubles up to its maximum.
  for (const [failures, least, most] of [
    [2, 45, 61],
    [3, 75, 101],
    [4, 75, 101],
  ] as const) {
    await stack.letProbe();
    expect(await woken()).toHaveLength(1);
    expect(await stack.consume()).toBe(true);
    expect(endpoint.requests).toHaveLength(failures + 1);
    const now = await circuit();
    expect(now!.failures).toBe(failures);
    expect(now!.seconds).toBeGreaterThanOrEqual(least);
    expect(now!.seconds).toBeLessThanOrEqual(most);
  }
  up = true;
  await stack.letProbe();
  expect(await stack.consume()).toBe(true);
  expect(sent().slice(-2)).toEqual([
    [1, 2],
    [3, 4],
  ]);
  expect(await circuit()).toBeUndefined();
  expect(await stack.caughtUp()).toBe(true);
});

it('what was taken before the endpoint went down is not sent again', async () => {
  const stack = await stackOf({ maximumEvents: 2 });
  await stack.produce(...some(6));
  endpoint.answer = () => ({ status: endpoint.requests.length > 1 ? 500 : 200 });
  expect(await stack.consume()).toBe(true);
  endpoint.answer = () => ({ status: 200 });
  endpoint.requests.length = 0;
  await stack.letProbe();
  expect(await stack.consume()).toBe(true);
  expect(sent()).toEqual([
    [3, 4],
    [5, 6],
  ]);
  expect(await stack.caughtUp()).toBe(true);
});

it('Retry-After is waited for within the run where it is short, by the circuit where it is long', async () => {
  const stack = await stackOf({ attempts: 3 });
  await stack.produce(...some(1));
  const times: number[] = [];
  endpoint.answer = () => {
    times.push(performance.now());
    return times.length === 1
      ? { status: 429, headers: { 'retry-after': '1' } }
      : { status: 503, headers: { 'retry-after': '3600' } };
  };
  expect(await stack.consume()).toBe(true);
  expect(times).toHaveLength(2);
  expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(990);
  const [circuit] = await stack.source.query<{ seconds: number }>(
    `select extract(epoch from probe_at - now())::int as seconds from pgq.get_circuit('q', 'c')`,
  );
  expect(circuit!.seconds).toBeGreaterThan(3500);
});

it.each([
  ['an address that is gone', { status: 404 }],
  ['a secret that is no longer taken', { status: 401 }],
  ['a redirection', { status: 302, headers: { location: '/elsewhere' } }],
])(
  '%s is no fault of the events: the circuit opens at once, and none is a dead letter',
  async (_, answer) => {
    const stack = await stackOf({ attempts: 5 });
    await stack.produce(...some(3));
    endpoint.answer = () => answer;
    expect(await stack.consume()).toBe(true);
    expect(endpoint.requests).toHaveLength(1);
    expect(await stack.dead()).toEqual([]);
    expect(await stack.caughtUp()).toBe(false);
  },
);

it('an endpoint that does not answer is given up before the deadline', async () => {
  const stack = await stackOf({ timeoutSeconds: 300 });
  await stack.produce(...some(1));
  endpoint.answer = () => new Promise(() => {});
  const timeout = vi.spyOn(AbortSignal, 'timeout');
  onTestFinished(() => timeout.mockRestore());
  expect(await stack.consume(4_000)).toBe(true);
  // Two seconds are kept back for the end.
  for (const [milliseconds] of timeout.mock.calls) expect(milliseconds).toBeLessThanOrEqual(2_000);
  expect(await stack.caughtUp()).toBe(false);
});

it('two workers at once send every request once', async () => {
  const stack = await stackOf();
  await stack.produce(...some(3));
  await Promise.all([stack.consume(), stack.consume(), stack.consume()]);
  expect(sent()).toEqual([[1, 2, 3]]);
});

it('subconsumers share the batches, and each leaves an endpoint that is down alone', async () => {
  const stack = await stackOf({ subconsumers: 2, attempts: 1 });
  await stack.produce(...some(2));
  await stack.produce(['t3', 'data 3']);
  endpoint.answer = () => ({ status: 503 });
  for (let run = 0; run < 4; run++) await stack.consume();
  expect(endpoint.requests).toHaveLength(2);
  await stack.letProbe();
  endpoint.answer = () => ({ status: 200 });
  for (let run = 0; run < 3; run++) expect(await stack.consume()).toBe(true);
  expect(sent().slice(2).sort()).toEqual([[1, 2], [expect.any(Number)]]);
  expect(await stack.source.query('select * from pgq.consumer_circuit')).toEqual([]);
});

import { expect, it, onTestFinished } from 'vitest';
import { runConsumer } from '../../../lib/pgq/consumers/run.ts';
import { type Batch, type Handler, type HandlerContext, queueDueWork } from '../../../lib/pgq/index.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { connect, disconnect } from '../../../lib/postgres/connect.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { fill, minute, queueDatabase } from '../pgq-ts/support.ts';

const LIMIT = 4;

async function group(transactional = true) {
  const { db, client } = await queueDatabase();
  await db.query('create table effect (id bigint primary key)');
  const config = parseConfig({
    databases: { app: { url: db.url } },
    consumers: {
      c: {
        kind: 'handler',
        handler: './x.ts',
        database: 'app',
        queue: 'q',
        subconsumers: LIMIT,
        transactional,
      },
    },
  });
  /** Jobs of the consumer, from the tables alone. */
  const due = async () =>
    (await queueDueWork(client, config, 'app')).jobs.filter(({ kind }) => kind === 'consume').length;
  /** One invocation of the function, on a connection of its own. */
  const invoke = async (handler: Handler) => {
    const worker = await connect(db.url);
    onTestFinished(() => disconnect(worker).catch(() => {}));
    return runConsumer(
      'c',
      { config, deadline: minute(), database: (_name, body) => body(worker as never) },
      async () => handler,
    );
  };
  return { db, due, invoke };
}

const members = async (db: TestDatabase) =>
  (
    await db.query(`select c.co_name as name from pgq.subscription join pgq.consumer c on c.co_id = sub_consumer
      where c.co_name <> 'c' order by 1`)
  ).map(({ name }) => name);

async function storeAll(batch: Batch, { client }: HandlerContext): Promise<void> {
  for await (const event of batch.events()) await client.query('insert into effect values ($1)', [event.id]);
}
const store: Handler = { handleBatch: storeAll };

it('as many subconsumers as the lag asks for, up to the limit; taken back when idle; from the tables alone', async () => {
  const { db, due, invoke } = await group();
  expect(await due()).toBe(0);
  await fill(db, 10);
  expect(await due()).toBe(1);
  for (let batch = 1; batch <= 9; batch++) await fill(db, 10, batch * 10 + 1);
  expect(await due()).toBe(LIMIT);

  let arrived = 0;
  let open!: () => void;
  const everybody = new Promise<void>((resolve) => {
    open = resolve;
  });
  const together: Handler = {
    async handleBatch(batch: Batch, context) {
      if (++arrived === LIMIT) open();
      await everybody;
      await storeAll(batch, context);
    },
  };
  const first = await Promise.all(Array.from({ length: LIMIT }, () => invoke(together)));
  expect(first.every(({ did, next }) => did?.events === 10 && next === 'again')).toBe(true);
  expect(await members(db)).toEqual(['c.s1', 'c.s2', 'c.s3', 'c.s4']);

  while ((await due()) > 0) await invoke(store);
  expect(await db.query('select count(*)::int as n from effect')).toEqual([{ n: 100 }]);
  expect(await members(db)).toHaveLength(LIMIT);
  await db.query(`update pgq.subscription set sub_active = now() - interval '2 minutes'`);
  expect(await due()).toBe(1);
  expect(await invoke(store)).toEqual({ did: undefined, next: 'idle' });
  expect(await members(db)).toEqual([]);
  expect(await due()).toBe(0);
  expect(await db.query('select co_name as name from pgq.consumer')).toEqual([{ name: 'c' }]);
});

it.each([true, false])(
  'the batch of a killed worker is taken over (transactional: %s)',
  async (transactional) => {
    const { db, due, invoke } = await group(transactional);
    for (let batch = 0; batch < 2; batch++) await fill(db, 10, batch * 10 + 1);
    const dying: Handler = {
      async handleBatch(batch: Batch, { client }) {
        for await (const event of batch.events()) {
          await client.query('insert into effect values ($1) on conflict do nothing', [event.id]);
          if (event.id === 5n)
            (
              client as unknown as { connection: { stream: { destroy(): void } } }
            ).connection.stream.destroy();
        }
      },
    };
    await expect(invoke(dying)).rejects.toThrow();
    // The server process of the dead is gone a moment later.
    await db.quiet();
    if (!transactional) {
      // its lease stands: somebody else's batch is all there is to be had
      expect(await due()).toBe(1);
      await db.query('update pgq.consumer_lease set lease_until = clock_timestamp()');
    }
    expect(await due()).toBe(2);
    const seen: number[] = [];
    const watch: Handler = {
      async handleEvent(event, { client }) {
        seen.push(Number(event.type!.slice(1)));
        await client.query('insert into effect values ($1) on conflict do nothing', [event.id]);
      },
    };
    while ((await due()) > 0) await invoke(watch);
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(await db.query('select count(*)::int as n from effect')).toEqual([{ n: 20 }]);
  },
);

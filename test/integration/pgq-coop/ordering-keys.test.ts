import { describe, expect, it } from 'vitest';
import {
  type ConsumerSpec,
  consumeBatch,
  consumeKeyedBatch,
  consumeLeasedBatch,
  type Handler,
  type KeyedConsumerSpec,
  type PgqEvent,
  registerConsumer,
} from '../../../lib/pgq/index.ts';
import type { Client } from '../../../lib/postgres/connect.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { fill, minute, ourClient, queueDatabase } from '../pgq-ts/support.ts';

const keyed = (slots: number): KeyedConsumerSpec => ({
  queue: 'q',
  consumer: 'c',
  orderingKey: 'extra1',
  slots,
});

/** One batch in the transaction of its effect. */
const consume = (client: Client, slots: number, handler: Handler) =>
  consumeKeyedBatch(client, keyed(slots), (slot) => consumeBatch(client, slot, handler, minute()));

/** Inserts events `from` to `to` of every key, each number in a transaction of its own, and ticks after each. */
async function insertNumbers(db: TestDatabase, keys: number, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number++) {
    await db.query(
      `select pgq.insert_event('q', 't', $1, 'key ' || k, null, null, null) from generate_series(1, $2::int) k`,
      [number, keys],
    );
    await fill(db, 0);
  }
}

/** Works until the group has nothing to do, or everything is held by others. */
async function drain(client: Client, slots: number, handler: Handler): Promise<void> {
  for (;;) {
    const result = await consume(client, slots, handler).catch((error: { code?: string }) => {
      if (error.code === 'UNIT_BUSY') return undefined;
      throw error;
    });
    if (result && !result.did) return;
  }
}

/** Writes each event down in the transaction that finishes its batch. */
const record: Handler = {
  async handleEvent(event: PgqEvent, { client }) {
    await client.query('insert into effect (key, number) values ($1, $2)', [event.extra1, event.data]);
  },
};

async function recorded(db: TestDatabase): Promise<Map<string, number[]>> {
  const rows = await db.query<{ key: string; numbers: number[] }>(
    'select key, array_agg(number order by id) as numbers from effect group by key',
  );
  return new Map(rows.map(({ key, numbers }) => [key, numbers]));
}

async function withEffect() {
  const { db, client } = await queueDatabase();
  await db.query('create table effect (id serial, key text, number int)');
  return { db, client };
}

const positions = (db: TestDatabase) =>
  db.query(`select c.co_name as name, s.sub_last_tick::int as tick
    from pgq.subscription s join pgq.consumer c on c.co_id = s.sub_consumer order by 1`);

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

describe('ordering keys', () => {
  it('keep the order of each key, once each, while workers die and the number of slots changes', async () => {
    const { db } = await withEffect();
    const KEYS = 12;
    const ROUNDS = [3, 5, 2, 1, 4];
    const PER_ROUND = 4;
    const busyKeys = new Set<string>();
    const shared: string[] = [];
    let deaths = 0;
    let total = 0;

    /** Dies in the middle of some batches, without a word. */
    const mortal = (worker: Client): Handler => ({
      async handleBatch(batch, { client }) {
        const mine = new Set<string>();
        try {
          for await (const event of batch.events()) {
            const key = event.extra1!;
            if (busyKeys.has(key) && !mine.has(key)) shared.push(key);
            busyKeys.add(key);
            mine.add(key);
            await client.query('insert into effect (key, number) values ($1, $2)', [key, event.data]);
            if (++total % 17 === 0) {
              deaths++;
              (
                worker as unknown as { connection: { stream: { destroy(): void } } }
              ).connection.stream.destroy();
              throw new Error('killed');
            }
          }
        } finally {
          for (const key of mine) busyKeys.delete(key);
        }
      },
    });
    const work = async (slots: number) => {
      let client = await ourClient(db.url);
      for (;;) {
        try {
          if (!(await consume(client, slots, mortal(client))).did) return;
        } catch (error) {
          const { code } = error as { code?: string };
          if (code === 'UNIT_BUSY') await new Promise((resolve) => setTimeout(resolve, 5));
          else client = await ourClient(db.url);
        }
      }
    };

    let number = 0;
    for (const slots of ROUNDS) {
      await insertNumbers(db, KEYS, number + 1, number + PER_ROUND);
      number += PER_ROUND;
      const workers = [work(slots), work(slots), work(slots)];
      await insertNumbers(db, KEYS, number + 1, number + 1);
      number += 1;
      await Promise.all(workers);
    }
    await drain(await ourClient(db.url), ROUNDS.at(-1)!, record);

    expect(shared, 'keys at which two workers were').toEqual([]);
    expect(deaths).toBeGreaterThan(5);
    const effect = await recorded(db);
    expect([...effect.keys()].sort()).toEqual(
      upTo(KEYS)
        .map((key) => `key ${key}`)
        .sort(),
    );
    for (const [key, numbers] of effect) expect(numbers, key).toEqual(upTo(number));
    expect((await positions(db)).map(({ name }) => name)).toEqual([
      'c',
      ...upTo(4).map((slot) => `c.${slot}of4`),
    ]);
  });

  it('a slot whose worker is alive is left alone; the others go on', async () => {
    const { db, client } = await withEffect();
    await insertNumbers(db, 20, 1, 1);
    const other = await ourClient(db.url);
    let passed!: () => void;
    const gate = new Promise<void>((resolve) => {
      passed = resolve;
    });
    let slow!: Promise<unknown>;
    const started = new Promise<string>((resolve) => {
      slow = consume(client, 2, {
        async handleBatch(batch) {
          resolve(batch.consumer);
          for await (const _ of batch.events());
          await gate;
        },
      });
    });
    const held = await started;
    const seen: string[] = [];
    const watch: Handler = {
      async handleBatch(batch) {
        seen.push(batch.consumer);
        for await (const _ of batch.events());
      },
    };
    expect((await consume(other, 2, watch)).did).toBeDefined();
    await expect(consume(other, 2, watch)).rejects.toMatchObject({ code: 'UNIT_BUSY' });
    // ... and a change of the slots waits for it, too
    await expect(consume(other, 3, watch)).rejects.toMatchObject({ code: 'UNIT_BUSY' });
    passed();
    await slow;
    expect(seen).toEqual([held === 'c.1of2' ? 'c.2of2' : 'c.1of2']);
  });

  it('a worker outside a transaction that went silent loses its slot with its lease, not before', async () => {
    const { db, client } = await withEffect();
    await insertNumbers(db, 1, 1, 2);
    const leased = (worker: Client, handler: Handler) =>
      consumeKeyedBatch(worker, keyed(1), (slot: ConsumerSpec) =>
        consumeLeasedBatch(worker, slot, handler, minute()),
      );
    const victim = await ourClient(db.url);
    await expect(
      leased(victim, {
        async handleEvent() {
          (victim as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
        },
      }),
    ).rejects.toThrow();
    const seen: unknown[] = [];
    const watch: Handler = {
      handleEvent: (event) => seen.push(event.data),
    };
    await expect(leased(client, watch)).rejects.toMatchObject({ code: 'UNIT_BUSY' });
    expect(seen).toEqual([]);
    await db.query(`update pgq.consumer_lease set lease_until = clock_timestamp()`);
    while ((await leased(client, watch)).did);
    expect(seen).toEqual(['1', '2']);
  });

  it('begin where the consumer is: its open batch is finished first, by all of its events', async () => {
    const { db, client } = await withEffect();
    await insertNumbers(db, 5, 1, 3);
    await consumeBatch(client, { queue: 'q', consumer: 'c' }, record, minute());
    await db.query(`select pgq.next_batch('q', 'c')`);
    await drain(client, 4, record);
    for (const [key, numbers] of await recorded(db)) expect(numbers, key).toEqual([1, 2, 3]);
  });

  it('a group that is moved back delivers again, in order, through all its slots', async () => {
    const { db, client } = await withEffect();
    await insertNumbers(db, 5, 1, 3);
    await drain(client, 3, record);
    await db.query('truncate effect');
    await registerConsumer(client, 'q', 'c', 2n);
    await drain(client, 3, record);
    for (const [key, numbers] of await recorded(db)) expect(numbers, key).toEqual([2, 3]);
  });

  it('a slot is a consumer that any client can read, with retries; events without a key are dealt out, too', async () => {
    const { db, client } = await withEffect();
    await consume(client, 2, record);
    await fill(db, 100);
    const parts: number[][] = [];
    for (const slot of ['c.1of2', 'c.2of2']) {
      const [{ batch }] = (await db.query(`select pgq.next_batch('q', $1) as batch`, [slot])) as [
        { batch: string },
      ];
      const events = await db.query('select ev_id::int as id from pgq.get_batch_events($1)', [batch]);
      parts.push(events.map(({ id }) => id as number));
      await db.query('select pgq.event_retry($1, $2, 0)', [batch, events[0]!.id]);
      await db.query('select pgq.finish_batch($1)', [batch]);
    }
    expect(parts.flat().sort((a, b) => a - b)).toEqual(upTo(100));
    for (const part of parts) expect(part.length).toBeGreaterThan(20);
    await db.query('select pgq.maint_retry_events()');
    await fill(db, 0);
    const again: bigint[] = [];
    await drain(client, 2, { handleEvent: (event) => again.push(event.id) });
    expect(again.map(Number).sort()).toEqual(parts.map((part) => part[0]!).sort());
  });

  it('refuse the ordinary ways into the group, and go with it', async () => {
    const { db, client } = await withEffect();
    await consume(client, 2, record);
    await fill(db, 1);
    await expect(db.query(`select pgq.next_batch('q', 'c')`)).rejects.toThrow(/PgQ corruption/);
    await expect(db.query(`select pgq_coop.next_batch('q', 'c', 's1')`)).rejects.toThrow(
      /keeps the order of keys/,
    );
    await expect(
      consumeKeyedBatch(client, { ...keyed(0) }, async () => ({ did: undefined, next: 'idle' })),
    ).rejects.toThrow(/number of slots/);
    expect(await db.query(`select pgq.unregister_consumer('q', 'c') as n`)).toEqual([{ n: 3 }]);
    expect(await db.query('select 1 from pgq.consumer union all select 1 from pgq.key_slot')).toEqual([]);
  });
});

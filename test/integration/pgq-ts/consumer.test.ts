import { describe, expect, it } from 'vitest';
import { type Batch, consumeBatch, consumeRemoteBatch, type PgqEvent } from '../../../lib/pgq/index.ts';
import { deadlineByHand, fill, minute, ourClient, queueDatabase } from './support.ts';

const c = { queue: 'q', consumer: 'c' };

describe('consumeBatch', () => {
  it('delivers every committed event once, in order, and finishes in the transaction of the effect', async () => {
    const { db, client } = await queueDatabase();
    await db.query('create table effect (id bigint primary key, type text)');
    await fill(db, 12_345);
    const handler = {
      async handleBatch(batch: Batch, { client: inside }: { client: typeof client }) {
        for await (const block of batch.blocks()) {
          await inside.query('insert into effect select * from unnest($1::int8[], $2::text[])', [
            block.map((event) => event.id),
            block.map((event) => event.type),
          ]);
        }
      },
    };
    const first = await consumeBatch(client, c, handler as never, minute());
    expect(first.did).toMatchObject({ events: 12_345, finished: true, retried: 0 });
    expect(await db.query('select count(*)::int as n, min(id)::int, max(id)::int from effect')).toEqual([
      { n: 12_345, min: 1, max: 12_345 },
    ]);
    expect((await consumeBatch(client, c, handler as never, minute())).did).toBeUndefined();
  });

  it('holds about 4 MB of events, however large they are, in its own database or with its effect in another', async () => {
    const { db, client } = await queueDatabase();
    const target = await queueDatabase();
    const large = async () => {
      await db.query(`select pgq.insert_event('q', 't', repeat('x', 1000000)) from generate_series(1, 11)`);
      await fill(db, 1_000);
    };
    let blocks: number[] = [];
    const handler = {
      async handleBatch(batch: Batch) {
        for await (const block of batch.blocks()) blocks.push(block.length);
      },
    };
    await large();
    expect((await consumeBatch(client, c, handler, minute())).did).toMatchObject({ events: 1_011 });
    expect(blocks).toEqual([5, 5, 990, 11]);
    blocks = [];
    await large();
    const remote = await consumeRemoteBatch(client, target.client, c, handler, minute());
    expect(remote.did).toMatchObject({ events: 1_011 });
    expect(blocks).toEqual([5, 5, 990, 11]);
  });

  it('sends an event that asks for it again, and only that one', async () => {
    const { db, client } = await queueDatabase();
    await fill(db, 5);
    const seen: [bigint, number][] = [];
    const handler = {
      handleEvent(event: PgqEvent) {
        seen.push([event.id, event.retryCount]);
        if (event.id === 3n && event.retryCount === 0) event.retry(0);
      },
    };
    expect((await consumeBatch(client, c, handler, minute())).did?.retried).toBe(1);
    await db.query('select pgq.maint_retry_events()');
    await fill(db, 1, 6);
    await consumeBatch(client, c, handler, minute());
    expect(seen.slice(0, 5).map(([id]) => id)).toEqual([1n, 2n, 3n, 4n, 5n]);
    expect(seen.slice(5)).toEqual([
      [3n, 1],
      [seen.at(-1)![0], 0],
    ]);
  });

  it('rolls back when the handler throws, and the batch comes again whole', async () => {
    const { db, client } = await queueDatabase();
    await db.query('create table effect (id bigint primary key)');
    await fill(db, 10);
    let poison = true;
    const handler = {
      async handleEvent(event: PgqEvent, { client: inside }: { client: typeof client }) {
        await inside.query('insert into effect values ($1)', [event.id]);
        if (poison && event.id === 7n) throw new TypeError('no such thing');
      },
    };
    await expect(consumeBatch(client, c, handler as never, minute())).rejects.toMatchObject({
      code: 'PGQ_HANDLER_FAILED',
      message: expect.stringContaining('TypeError'),
    });
    expect(await db.query('select count(*)::int as n from effect')).toEqual([{ n: 0 }]);
    poison = false;
    expect((await consumeBatch(client, c, handler as never, minute())).did?.events).toBe(10);
    expect(await db.query('select count(*)::int as n from effect')).toEqual([{ n: 10 }]);
  });

  it('lets one of two workers of one name advance; the other ends quietly', async () => {
    const { db, client } = await queueDatabase();
    const other = await ourClient(db.url);
    await fill(db, 10);
    let refused: unknown;
    const handler = {
      async handleEvent(event: PgqEvent) {
        if (event.id === 1n)
          refused = await consumeBatch(other, c, { handleEvent() {} }, minute()).catch((error) => error);
      },
    };
    expect((await consumeBatch(client, c, handler, minute())).did?.events).toBe(10);
    expect(refused).toMatchObject({ code: 'UNIT_BUSY' });
  });

  it('stops at a checkpoint before the deadline, and goes on behind it', async () => {
    const { db, client } = await queueDatabase();
    await db.query('create table effect (id bigint primary key)');
    await fill(db, 2_000);
    let { deadline, pass } = deadlineByHand();
    const seen: bigint[] = [];
    const handler = {
      async handleEvent(event: PgqEvent, { client: inside }: { client: typeof client }) {
        seen.push(event.id);
        await inside.query('insert into effect values ($1)', [event.id]);
        if (event.id % 700n === 0n) pass();
      },
    };
    const parts = [];
    for (;;) {
      ({ deadline, pass } = deadlineByHand());
      const result = await consumeBatch(client, c, handler as never, deadline);
      if (!result.did) break;
      parts.push(result.did);
      if (result.next === 'idle') break;
    }
    expect(parts.map((part) => part.finished)).toEqual([...parts.slice(1).map(() => false), true]);
    expect(parts.length).toBeGreaterThanOrEqual(3);
    expect(new Set(parts.map((part) => part.batch)).size).toBe(1);
    expect(seen).toEqual(Array.from({ length: 2_000 }, (_, index) => BigInt(index + 1)));
  });

  it('says who is not registered, and that a failed statement cannot be swallowed', async () => {
    const { db, client } = await queueDatabase();
    await expect(
      consumeBatch(client, { queue: 'q', consumer: 'nobody' }, { handleEvent() {} }, minute()),
    ).rejects.toMatchObject({ code: 'PGQ_NOT_SUBSCRIBED' });
    await fill(db, 1);
    const careless = {
      handleEvent: (_event: PgqEvent, { client: inside }: { client: typeof client }) =>
        inside.query('select 1/0').catch(() => {}),
    };
    await expect(consumeBatch(client, c, careless as never, minute())).rejects.toMatchObject({
      code: 'PG_25P02',
    });
  });
});

import { describe, expect, it } from 'vitest';
import {
  type Batch,
  consumeCoopBatch,
  type PgqEvent,
  registerSubconsumer,
  subconsumerPool,
} from '../../../lib/pgq/index.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { deadlineByHand, fill, minute, ourClient } from '../pgq-ts/support.ts';

async function scalar(db: TestDatabase, expression: string): Promise<unknown> {
  const rows = await db.query(`select (${expression})::text as value`);
  const value = rows[0]!.value as string | null;
  return value === null ? null : Number(value);
}

async function queue(): Promise<TestDatabase> {
  const db = await testDatabase();
  await db.query(`select pgq.create_queue('q')`);
  await db.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);
  return db;
}

describe('pgq_coop', () => {
  it('gives each batch to one member, and the same one to a member that asks again', async () => {
    const db = await queue();
    expect(await scalar(db, `pgq_coop.register_subconsumer('q', 'c', 's1')`)).toBe(1);
    expect(await scalar(db, `pgq_coop.register_subconsumer('q', 'c', 's1')`)).toBe(0);
    expect(await scalar(db, `pgq_coop.register_subconsumer('q', 'c', 's2')`)).toBe(1);
    expect(await scalar(db, `pgq_coop.next_batch('q', 'c', 's1')`)).toBeNull();
    await db.query('select pgq.ticker()');
    expect(await scalar(db, `pgq_coop.next_batch('q', 'c', 's1')`)).toBe(1);
    expect(await scalar(db, `pgq_coop.next_batch('q', 'c', 's1')`)).toBe(1);
    expect(await scalar(db, `pgq_coop.next_batch('q', 'c', 's2')`)).toBeNull();
    await db.query('select pgq.ticker()');
    expect(await scalar(db, `pgq_coop.next_batch('q', 'c', 's2')`)).toBe(2);
    expect(await scalar(db, 'pgq_coop.finish_batch(2)')).toBe(1);
    expect(await scalar(db, 'pgq_coop.finish_batch(2)')).toBe(0);
  });

  it('passes the batch of a dead member to a sibling with its id, and fences the dead one off', async () => {
    const db = await queue();
    await db.query(`select pgq_coop.register_subconsumer('q', 'c', s) from unnest('{s1,s2,s3}'::text[]) s`);
    await db.query('select pgq.ticker()');
    await db.query(`select pgq_coop.next_batch('q', 'c', 's1')`);
    expect(await scalar(db, `pgq_coop.next_batch('q', 'c', 's2', '1 hour')`)).toBeNull();
    await db.query(
      `update pgq.subscription set sub_active = '2005-01-01' where sub_batch = 1
          or sub_consumer = (select co_id from pgq.consumer where co_name = 'c.s3')`,
    );
    expect(await scalar(db, `pgq_coop.next_batch('q', 'c', 's2', '1 hour')`)).toBe(1);
    for (const gone of ['s1', 's3'])
      expect(await scalar(db, `pgq_coop.unregister_subconsumer('q', 'c', '${gone}', 0)`)).toBe(0);
    expect(await scalar(db, `pgq_coop.heartbeat('q', 'c', 's1', 1)`)).toBe(0);
    expect(await scalar(db, `pgq_coop.finish_owned_batch('q', 'c', 's1', 1)`)).toBe(0);
    expect(await scalar(db, `pgq_coop.heartbeat('q', 'c', 's2', 1)`)).toBe(1);
    expect(await scalar(db, `pgq_coop.finish_owned_batch('q', 'c', 's2', 1)`)).toBe(1);
    expect(await db.query('select co_name from pgq.consumer order by 1')).toEqual([
      { co_name: 'c' },
      { co_name: 'c.s2' },
    ]);
  });

  it('does not rob a member whose transaction is alive, however long it takes', async () => {
    const db = await queue();
    await db.query(`select pgq_coop.next_batch('q', 'c', 's1')`);
    await db.query('select pgq.ticker()');
    await db.query(`select pgq_coop.next_batch('q', 'c', 's1')`);
    await db.query(`update pgq.subscription set sub_active = '2005-01-01' where sub_batch = 1`);
    const worker = await db.connect();
    await worker.query('begin');
    await worker.query('select * from pgq.hold_batch(1)');
    expect(await scalar(db, `pgq_coop.next_batch('q', 'c', 's2', '1 hour')`)).toBeNull();
    await worker.query('commit');
    expect(await scalar(db, `pgq_coop.next_batch('q', 'c', 's2', '1 hour')`)).toBe(1);
  });

  it('loses no event when a member is removed by force: the group gets them again', async () => {
    const db = await queue();
    await db.query(`select pgq_coop.register_subconsumer('q', 'c', 's1')`);
    await db.query(`select pgq.insert_event('q', 't', 'd')`);
    await db.query('select pgq.ticker()');
    await db.query(`select pgq_coop.next_batch('q', 'c', 's1')`);
    await expect(db.query(`select pgq_coop.unregister_subconsumer('q', 'c', 's1', 0)`)).rejects.toThrow(
      'subconsumer has active batch',
    );
    expect(await scalar(db, `pgq_coop.unregister_subconsumer('q', 'c', 's1', 1)`)).toBe(1);
    expect(await scalar(db, `pgq_coop.unregister_subconsumer('q', 'c', 's1', 1)`)).toBe(0);
    expect(await scalar(db, 'pgq.maint_retry_events()')).toBe(1);
    await db.query('select pgq.ticker()');
    const rows = await db.query(`select pgq_coop.next_batch('q', 'c', 's2') as batch`);
    expect(
      await db.query('select ev_id::int, ev_retry from pgq.get_batch_events($1)', [rows[0]!.batch]),
    ).toEqual([{ ev_id: 1, ev_retry: 1 }]);
  });

  it('registers unknown names on the way, and says what stands in the way', async () => {
    const db = await queue();
    expect(await scalar(db, `pgq_coop.next_batch('q', 'cmain', 'sc1')`)).toBeNull();
    expect(await scalar(db, `pgq_coop.next_batch('q', 'cmain', 'sc2')`)).toBeNull();
    expect(
      await db.query(
        'select consumer_name, last_tick is null as idle from pgq.get_consumer_info() order by 1',
      ),
    ).toEqual([
      { consumer_name: 'cmain', idle: false },
      { consumer_name: 'cmain.sc1', idle: true },
      { consumer_name: 'cmain.sc2', idle: true },
    ]);
    expect(await scalar(db, `pgq.unregister_consumer('q', 'cmain.sc1')`)).toBe(1);
    await db.query('select pgq.ticker()');
    await db.query(`select pgq.next_batch('q', 'cmain')`);
    await expect(db.query(`select pgq_coop.next_batch('q', 'cmain', 'sc2')`)).rejects.toThrow(
      'main consumer has batch open?',
    );
    await expect(db.query(`select pgq_coop.next_batch('none', 'c', 's')`)).rejects.toThrow(
      'Event queue not created yet',
    );
    await db.query(`select pgq.register_consumer('q', 'x.y')`);
    await expect(db.query(`select pgq_coop.next_batch('q', 'x', 'y')`)).rejects.toThrow(
      'subconsumer not found',
    );
    expect(await scalar(db, `pgq.unregister_consumer('q', 'cmain')`)).toBe(2);
  });

  it('lets first callers in parallel all in, and gives out no batch twice', async () => {
    const db = await queue();
    const clients = await Promise.all(Array.from({ length: 6 }, () => db.connect()));
    await Promise.all(
      clients.map((client, index) => client.query(`select pgq_coop.next_batch('q', 'c', 's${index}')`)),
    );
    for (let tick = 0; tick < 12; tick++) await db.query('select pgq.ticker()');
    const given = await Promise.all(
      clients.map(async (client, index) => {
        const mine: unknown[] = [];
        for (;;) {
          const { rows } = await client.query(`select pgq_coop.next_batch('q', 'c', 's${index}') as id`);
          if (rows[0].id === null) return mine;
          mine.push(rows[0].id);
          await client.query('select pgq_coop.finish_batch($1)', [rows[0].id]);
        }
      }),
    );
    expect(given.flat().length).toBe(12);
    expect(new Set(given.flat()).size).toBe(12);
  });
});

describe('consumeCoopBatch', () => {
  it('shares the batches of a queue among parallel workers, each event once', async () => {
    const db = await queue();
    const spec = { queue: 'q', consumer: 'c', subconsumers: subconsumerPool(3), deadAfterSeconds: 60 };
    const workers = await Promise.all(Array.from({ length: 4 }, () => ourClient(db.url)));
    await registerSubconsumer(workers[0]!, 'q', 'c', 's1');
    for (let batch = 0; batch < 9; batch++) await fill(db, 20, batch * 20 + 1);
    await db.query('create table effect (type text primary key, worker int)');
    let atOnce = 0;
    let most = 0;
    // The first to come waits for a second one.
    const together = Promise.withResolvers<void>();
    const run = async (index: number) => {
      const handler = {
        async handleBatch(batch: Batch, { client }: { client: (typeof workers)[0] }) {
          most = Math.max(most, ++atOnce);
          if (most > 1) together.resolve();
          await together.promise;
          for await (const event of batch.events())
            await client.query('insert into effect values ($1, $2)', [event.type, index]);
          atOnce--;
        },
      };
      for (;;) {
        const result = await consumeCoopBatch(workers[index]!, spec, handler as never, minute()).catch(
          (error) => {
            if (error.code !== 'UNIT_BUSY') throw error;
            return undefined;
          },
        );
        if (result?.did === undefined && result !== undefined) return;
        if (result === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    await Promise.all(workers.map((_, index) => run(index)));
    expect(await db.query('select count(*)::int as n from effect')).toEqual([{ n: 180 }]);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(3);
  });

  it('finds the batch that a killed worker left, and goes on inside it', async () => {
    const db = await queue();
    const spec = { queue: 'q', consumer: 'c', subconsumers: subconsumerPool(2), deadAfterSeconds: 3600 };
    const client = await ourClient(db.url);
    await registerSubconsumer(client, 'q', 'c', 's1');
    await fill(db, 10);
    const seen: bigint[] = [];
    const { deadline, pass } = deadlineByHand();
    const slow = {
      async handleEvent(event: PgqEvent) {
        seen.push(event.id);
        if (event.id === 4n) pass();
      },
    };
    expect((await consumeCoopBatch(client, spec, slow, deadline)).did?.finished).toBe(false);
    const dying = {
      async handleEvent(_event: PgqEvent, context: { client: { end(): Promise<void> } }) {
        await context.client.end();
        throw new Error('killed');
      },
    };
    const victim = await ourClient(db.url);
    await expect(consumeCoopBatch(victim, spec, dying as never, minute())).rejects.toThrow();
    await db.quiet();
    const rest = await consumeCoopBatch(client, spec, slow, minute());
    expect(rest.did).toMatchObject({ finished: true, events: 6 });
    expect(seen).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n]);
  });
});

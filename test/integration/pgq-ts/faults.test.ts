import { describe, expect, it } from 'vitest';
import { type Batch, consumeBatch, consumeLeasedBatch, type PgqEvent } from '../../../lib/pgq/index.ts';
import { startProxy } from '../../support/proxy.ts';
import { fill, minute, ourClient, queueDatabase } from './support.ts';

const c = { queue: 'q', consumer: 'c' };
type Inside = { client: { query(text: string, values?: unknown[]): Promise<unknown> } };
const store = {
  async handleBatch(batch: Batch, { client }: Inside) {
    for await (const block of batch.blocks())
      await client.query('insert into effect select unnest($1::int8[])', [block.map((event) => event.id)]);
  },
};

async function withEffect(events: number) {
  const { db, client } = await queueDatabase();
  await db.query('create table effect (id bigint primary key)');
  await fill(db, events);
  const count = async () => (await db.query('select count(*)::int as n from effect'))[0]!.n as number;
  return { db, client, count };
}

describe('a transactional consumer', () => {
  it('ends in the same state whichever of its round trips it is killed at', async () => {
    const { db, client, count } = await withEffect(700);
    // begin and open, fetch, two inserts, close and commit: kill before each of them, then run again.
    for (let kill = 1; kill <= 6; kill++) {
      const victim = await ourClient(db.url);
      const query = victim.query.bind(victim) as (...args: unknown[]) => unknown;
      let calls = 0;
      victim.query = ((...args: unknown[]) => {
        const stream = (victim as unknown as { connection: { stream: { destroy(): void } } }).connection
          .stream;
        if (++calls === kill) stream.destroy();
        return query(...args);
      }) as typeof victim.query;
      const outcome = await consumeBatch(victim, c, store as never, minute()).then(
        () => 'done',
        (error: { code?: string }) => (error.code === 'UNIT_BUSY' ? 'busy' : 'killed'),
      );
      if (outcome === 'busy') {
        // The server process of the one killed before holds the consumer for a moment: the same again.
        await new Promise((resolve) => setTimeout(resolve, 50));
        kill--;
        continue;
      }
      expect(outcome).toBe(calls < kill ? 'done' : 'killed');
      if (outcome === 'killed') expect(await count()).toBe(0);
      else break;
    }
    // A killed client's server process may hold the consumer for a moment.
    for (;;) {
      const result = await consumeBatch(client, c, store as never, minute()).catch(() => undefined);
      if (result) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await count()).toBe(700);
  });

  it('does not apply again when the answer to its commit was lost', async () => {
    const { db, client, count } = await withEffect(10);
    const url = new URL(db.url);
    const proxy = await startProxy({ host: url.hostname, port: Number(url.port) });
    url.port = String(proxy.port);
    const shaky = await ourClient(url.href);
    const sent = proxy.dropAnswersAfter('; commit\0');
    const failing = consumeBatch(shaky, c, store as never, minute());
    failing.catch(() => {});
    await sent;
    await expect.poll(count).toBe(10);
    proxy.reset();
    await expect(failing).rejects.toMatchObject({ code: 'PG_COMMIT_UNKNOWN' });
    await proxy.close();
    expect((await consumeBatch(client, c, store as never, minute())).did).toBeUndefined();
    expect(await count()).toBe(10);
  });

  it('leaves nothing behind when its connection becomes half-open in the middle', async () => {
    const { db, client, count } = await withEffect(10);
    const url = new URL(db.url);
    const proxy = await startProxy({ host: url.hostname, port: Number(url.port) });
    url.port = String(proxy.port);
    const frozen = await ourClient(url.href);
    const silent = Promise.withResolvers<void>();
    const hanging = {
      async handleBatch(batch: Batch, context: Inside) {
        await store.handleBatch(batch, context);
        proxy.blackHole();
        silent.resolve();
      },
    };
    const lost = consumeBatch(frozen, c, hanging as never, minute()).catch((error) => error);
    await silent.promise;
    expect(await consumeBatch(client, c, store as never, minute()).catch((error) => error.code)).toBe(
      'UNIT_BUSY',
    );
    // What idle_in_transaction_session_timeout does after a minute.
    const server = await ourClient(db.superuserUrl);
    await server.query(
      `select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = $1 and state = 'idle in transaction'`,
      [db.name],
    );
    await expect
      .poll(async () => {
        await consumeBatch(client, c, store as never, minute()).catch(() => {});
        return await count();
      })
      .toBe(10);
    await proxy.close();
    expect((await lost).code).toMatch(/^PG_/);
  });

  it('delivers a long transaction in a later batch, and rolled-back work never', async () => {
    const { db, client } = await withEffect(2);
    const long = await db.connect();
    await long.query('begin');
    await long.query(`select pgq.insert_event('q', 'long', 'd')`);
    await long.query('savepoint s');
    await long.query(`select pgq.insert_event('q', 'undone', 'd')`);
    await long.query('rollback to s');
    const aborted = await db.connect();
    await aborted.query('begin');
    await aborted.query(`select pgq.insert_event('q', 'aborted', 'd')`);
    await fill(db, 2, 10);
    await aborted.query('rollback');
    const seen: string[][] = [];
    const collect = {
      async handleBatch(batch: Batch) {
        const types: string[] = [];
        await batch.deliver((event) => types.push(event.type!));
        seen.push(types);
      },
    };
    await consumeBatch(client, c, collect, minute());
    await consumeBatch(client, c, collect, minute());
    await long.query('commit');
    await fill(db, 1, 20);
    await consumeBatch(client, c, collect, minute());
    expect(seen).toEqual([
      ['t1', 't2'],
      ['t10', 't11'],
      ['long', 't20'],
    ]);
  });

  it('notices that its batch was taken from it while it worked', async () => {
    const { db, client, count } = await withEffect(3);
    const robbed = {
      async handleBatch(batch: Batch, context: Inside) {
        await store.handleBatch(batch, context);
        await context.client.query(`select pgq.finish_batch($1)`, [batch.id]);
      },
    };
    await expect(consumeBatch(client, c, robbed as never, minute())).rejects.toMatchObject({
      code: 'PGQ_BATCH_LOST',
    });
    expect(await count()).toBe(0);
    expect((await consumeBatch(client, c, store as never, minute())).did?.events).toBe(3);
    expect(await db.query('select * from pgq.batch_progress')).toEqual([]);
  });
});

describe('a leased consumer', () => {
  it('works outside a transaction, records its position, and goes on behind it after a failure', async () => {
    const { db, client } = await queueDatabase();
    await fill(db, 1_200);
    const seen: bigint[] = [];
    let fail = true;
    const handler = {
      async handleEvent(event: PgqEvent) {
        if (fail && event.id === 777n) throw new Error('service down');
        seen.push(event.id);
      },
    };
    await expect(consumeLeasedBatch(client, c, handler, minute())).rejects.toMatchObject({
      code: 'PGQ_HANDLER_FAILED',
    });
    expect(await db.query('select lease_until from pgq.consumer_lease')).toEqual([{ lease_until: null }]);
    fail = false;
    expect((await consumeLeasedBatch(client, c, handler, minute())).did).toMatchObject({
      finished: true,
      events: 700,
    });
    expect(seen.slice(0, 776)).toEqual(Array.from({ length: 776 }, (_, index) => BigInt(index + 1)));
    expect(seen.slice(776)).toEqual(Array.from({ length: 700 }, (_, index) => BigInt(index + 501)));
  });

  it('holds about 4 MB of events, however large they are, and parts none from its retry', async () => {
    const { db, client } = await queueDatabase();
    await db.query(`select pgq.insert_event('q', 't', repeat('x', 1000000)) from generate_series(1, 11)`);
    await db.query(
      `insert into pgq.event_1_0 (ev_id, ev_time, ev_owner, ev_retry, ev_data)
       select ev_id, ev_time, sub_id, 1, 'again' from pgq.event_1_0, pgq.subscription where ev_id = 5`,
    );
    await fill(db, 1);
    const blocks: number[][] = [];
    const handler = {
      async handleBatch(batch: Batch) {
        for await (const block of batch.blocks()) {
          blocks.push(block.map(({ id }) => Number(id)));
          if (blocks.length === 2) throw new Error('service down');
        }
      },
    };
    await expect(consumeLeasedBatch(client, c, handler, minute())).rejects.toMatchObject({
      code: 'PGQ_HANDLER_FAILED',
    });
    expect((await consumeLeasedBatch(client, c, handler, minute())).did).toMatchObject({ finished: true });
    const second = [6, 7, 8, 9, 10];
    expect(blocks).toEqual([[1, 2, 3, 4, 5, 5], second, second, [11, 12]]);
  });

  it('keeps others away while it lives, and is refused once its lease has passed on', async () => {
    const { db, client } = await queueDatabase();
    await fill(db, 3);
    const other = await ourClient(db.url);
    const outcomes: unknown[] = [];
    const handler = {
      async handleBatch() {
        const attempt = () =>
          consumeBatch(other, c, { handleEvent() {} }, minute()).then(
            (result) => result.did?.events,
            (error) => error.code,
          );
        outcomes.push(await attempt());
        await db.query(`update pgq.consumer_lease set lease_until = now() - interval '1 second'`);
        outcomes.push(
          await other.query(`select pgq.acquire_lease('q', 'c', 'thief', '1 minute')`).then(() => 'taken'),
        );
      },
    };
    await expect(consumeLeasedBatch(client, c, handler, minute())).rejects.toMatchObject({
      code: 'UNIT_BUSY',
    });
    expect(outcomes).toEqual(['UNIT_BUSY', 'taken']);
    expect(await db.query('select lease_holder, lease_fence::int from pgq.consumer_lease')).toEqual([
      { lease_holder: 'thief', lease_fence: 2 },
    ]);
  });

  it('returns the events that ask for it, across its blocks', async () => {
    const { db, client } = await queueDatabase();
    await fill(db, 1_001);
    const handler = {
      handleEvent: (event: PgqEvent) => (event.id % 500n === 0n ? event.retry(3600) : undefined),
    };
    expect((await consumeLeasedBatch(client, c, handler, minute())).did).toMatchObject({
      retried: 2,
      events: 1_001,
    });
    expect(await db.query('select ev_id::int from pgq.retry_queue order by 1')).toEqual([
      { ev_id: 500 },
      { ev_id: 1000 },
    ]);
  });
});

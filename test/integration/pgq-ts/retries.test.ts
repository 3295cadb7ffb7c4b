import { expect, it } from 'vitest';
import {
  consumeBatch,
  consumeCoopBatch,
  consumeLeasedBatch,
  type HandlerContext,
  type PgqEvent,
  registerSubconsumer,
} from '../../../lib/pgq/index.ts';
import { SkytoolsError } from '../../../lib/platform/errors.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { fill, minute, ourClient, queueDatabase } from './support.ts';

const retries = { maximum: 1, baseSeconds: 100, maximumSeconds: 600 };
const spec = { queue: 'q', consumer: 'c', retries };

const again = async (db: TestDatabase, from: number) => {
  await db.query('update pgq.retry_queue set ev_retry_after = now()');
  await db.query('select pgq.maint_retry_events()');
  await fill(db, 1, from);
};

/** Writes every event, and throws at event 3 after writing it. */
const poisoned = {
  async handleEvent(event: PgqEvent, { client }: HandlerContext) {
    await client.query('insert into effect values ($1)', [event.id]);
    if (event.id === 3n) throw new TypeError('cannot read three');
  },
};

it('an event at which its handler throws comes back alone, without its effect, and in the end is a dead letter', async () => {
  const { db, client } = await queueDatabase();
  await db.query('create table effect (id bigint)');
  await fill(db, 5);
  expect((await consumeBatch(client, spec, poisoned, minute())).did).toMatchObject({
    events: 5,
    retried: 1,
    dead: 0,
    finished: true,
  });
  expect(await db.query('select array_agg(id::int order by id) as ids from effect')).toEqual([
    { ids: [1, 2, 4, 5] },
  ]);
  expect(
    await db.query(
      `select ev_id::int, ev_retry, ev_retry_after between now() and now() + interval '100 seconds' as soon from pgq.retry_queue`,
    ),
  ).toEqual([{ ev_id: 3, ev_retry: 1, soon: true }]);
  await again(db, 6);
  expect((await consumeBatch(client, spec, poisoned, minute())).did).toMatchObject({ retried: 0, dead: 1 });
  expect(
    await db.query(`select ev_id::int, ev_failed_reason, ev_data from pgq.failed_event_list('q', 'c')`),
  ).toEqual([{ ev_id: 3, ev_failed_reason: 'cannot read three', ev_data: 'data 3' }]);
});

it('an event that PostgreSQL refuses fails alone; what passes by itself fails the batch, and so does everything without a policy', async () => {
  const { db, client } = await queueDatabase();
  await db.query('create table effect (id bigint primary key)');
  await db.query('insert into effect values (2), (3)');
  await fill(db, 4);
  const handler = {
    handleEvent: (event: PgqEvent, context: HandlerContext) =>
      context.client.query('insert into effect values ($1)', [event.id]),
  };
  await expect(consumeBatch(client, { queue: 'q', consumer: 'c' }, handler, minute())).rejects.toMatchObject({
    code: 'PG_23505',
  });
  const passing = {
    handleEvent() {
      throw new SkytoolsError('ELSEWHERE_DOWN', 'try later', { retryable: true });
    },
  };
  await expect(consumeBatch(client, spec, passing, minute())).rejects.toMatchObject({
    code: 'ELSEWHERE_DOWN',
  });
  expect((await consumeBatch(client, spec, handler, minute())).did).toMatchObject({ events: 4, retried: 2 });
  expect(await db.query('select array_agg(id::int order by id) as ids from effect')).toEqual([
    { ids: [1, 2, 3, 4] },
  ]);
});

it('event.fail without a policy makes a dead letter at once; event.done takes it back', async () => {
  const { db, client } = await queueDatabase();
  await fill(db, 3);
  const handler = {
    handleEvent(event: PgqEvent) {
      event.fail('no such order');
      if (event.id === 2n) event.done();
    },
  };
  expect((await consumeBatch(client, { queue: 'q', consumer: 'c' }, handler, minute())).did).toMatchObject({
    retried: 0,
    dead: 2,
  });
  expect(await db.query(`select ev_id::int from pgq.failed_event_list('q', 'c')`)).toEqual([
    { ev_id: 1 },
    { ev_id: 3 },
  ]);
});

it('consumers that work outside a transaction, and members of a group, have the same policy', async () => {
  const { db, client } = await queueDatabase();
  await fill(db, 600);
  const seen: bigint[] = [];
  const outside = {
    handleEvent(event: PgqEvent) {
      if (event.id === 7n || event.id === 600n) throw new Error('no');
      seen.push(event.id);
    },
  };
  expect((await consumeLeasedBatch(client, spec, outside, minute())).did).toMatchObject({
    events: 600,
    retried: 2,
  });
  expect(seen).toHaveLength(598);

  const other = await ourClient(db.url);
  const group = {
    queue: 'q',
    consumer: 'group',
    subconsumers: ['s1', 's2'],
    retries: { ...retries, maximum: 0 },
  };
  for (const name of group.subconsumers) await registerSubconsumer(client, 'q', 'group', name);
  await fill(db, 10, 601);
  const refusing = {
    handleEvent() {
      throw new Error('never');
    },
  };
  expect((await consumeCoopBatch(other, group, refusing, minute())).did).toMatchObject({
    events: 10,
    dead: 10,
  });
  expect(await db.query(`select pgq.failed_event_count('q', 'group') as n`)).toEqual([{ n: 10 }]);
});

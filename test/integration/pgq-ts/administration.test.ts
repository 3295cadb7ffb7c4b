import { expect, it } from 'vitest';
import {
  configureQueue,
  consumeBatch,
  consumerStatus,
  createQueue,
  dropQueue,
  forceTick,
  maintain,
  queueDueWork,
  queueStatus,
  registerConsumer,
  seekConsumer,
  tick,
  unregisterConsumer,
} from '../../../lib/pgq/index.ts';
import type { Config } from '../../../lib/platform/config.ts';
import { until } from '../../support/cluster.ts';
import { testDatabase } from '../../support/postgres.ts';
import { fill, minute, ourClient, queueDatabase } from './support.ts';

it('creates, configures, shows and drops queues; registers, moves and removes consumers', async () => {
  const { db, client } = await queueDatabase();
  expect(await createQueue(client, 'q')).toBe(false);
  await configureQueue(client, 'q', {
    tickerMaxCount: 7,
    tickerMaxLagSeconds: 1.5,
    rotationPeriodSeconds: 60,
  });
  expect((await queueStatus(client, 'q'))[0]).toMatchObject({
    queue: 'q',
    tickerMaxCount: 7,
    tickerMaxLagSeconds: 1.5,
    rotationPeriodSeconds: 60,
    tickerPaused: false,
    consumers: 1,
    rotationBlocked: undefined,
  });
  expect(await registerConsumer(client, 'q', 'c')).toBe(false);
  await fill(db, 3);
  await consumeBatch(
    client,
    { queue: 'q', consumer: 'c' },
    { handleEvent: (event) => event.retry(60) },
    minute(),
  );
  expect((await consumerStatus(client, 'q', 'c'))[0]).toMatchObject({
    consumer: 'c',
    lastTick: 2n,
    retryEvents: 3,
  });
  expect(await seekConsumer(client, 'q', 'c', { tick: 1n })).toBe(1n);
  expect(await seekConsumer(client, 'q', 'c', { end: true })).toBe(2n);
  expect(await seekConsumer(client, 'q', 'c', { time: new Date(Date.now() + 60_000) })).toBe(2n);
  await expect(seekConsumer(client, 'q', 'c', { time: new Date(0) })).rejects.toMatchObject({
    code: 'PGQ_TICK_MISSING',
  });
  await expect(seekConsumer(client, 'q', 'x', { end: true })).rejects.toMatchObject({
    code: 'PGQ_NOT_SUBSCRIBED',
  });
  await expect(dropQueue(client, 'q')).rejects.toMatchObject({ code: 'PGQ_QUEUE_IN_USE' });
  expect(await unregisterConsumer(client, 'q', 'c')).toBe(1);
  await dropQueue(client, 'q');
  expect(await queueStatus(client)).toEqual([]);
  await expect(dropQueue(client, 'q')).rejects.toMatchObject({ code: 'PGQ_QUEUE_MISSING' });
});

it.each([1, 3])(
  "counts a queue's first %i events as new and as pending, whichever of them a tick brings",
  async (events) => {
    const { db, client } = await queueDatabase();
    const counted = async () => [
      (await queueStatus(client, 'q'))[0]!.newEvents,
      (await consumerStatus(client, 'q', 'c'))[0]!.pendingEvents,
    ];
    const insert = () =>
      db.query(`select pgq.insert_event('q', 't', 'd') from generate_series(1, $1)`, [events]);
    expect(await counted()).toEqual([0, 0]);
    await insert();
    expect(await counted()).toEqual([events, 0]);
    await forceTick(client, 'q', minute());
    expect(await counted()).toEqual([0, events]);
    await insert();
    expect(await counted()).toEqual([events, events]);
    await forceTick(client, 'q', minute());
    expect(await counted()).toEqual([0, 2 * events]);
    await seekConsumer(client, 'q', 'c', { tick: 2n });
    expect(await counted()).toEqual([0, events]);
  },
);

it('says that a database has no queues installed', async () => {
  const db = await testDatabase({ from: 'empty' });
  const client = await ourClient(db.url);
  await expect(tick(client, minute())).rejects.toMatchObject({ code: 'PGQ_NOT_INSTALLED' });
  const config = { consumers: {} } as unknown as Config;
  expect(await queueDueWork(client, config, 'd')).toEqual({ jobs: [], idleSeconds: undefined });
});

it('maintains: returns due retries, rotates in two transactions, and goes on behind a failing operation', async () => {
  const { db, client } = await queueDatabase();
  await configureQueue(client, 'q', { rotationPeriodSeconds: 0 });
  await db.query(`update pgq.queue set queue_extra_maint = '{pgq.no_such_function}'`);
  await fill(db, 25);
  await consumeBatch(
    client,
    { queue: 'q', consumer: 'c' },
    { handleEvent: (event) => event.retry(0) },
    minute(),
  );
  const { did, next } = await maintain(client, minute());
  expect(did.map((step) => [step.operation, step.error?.code])).toEqual(
    expect.arrayContaining([
      ['pgq.maint_retry_events', undefined],
      ['pgq.maint_rotate_tables_step1', undefined],
      ['pgq.maint_rotate_tables_step2', undefined],
      ['pgq.no_such_function', 'PGQ_NOT_INSTALLED'],
    ]),
  );
  expect(did[0]!.count).toBe(25);
  expect(next).toBe('idle');
  // Transactions of other tests on the same server hold a rotation back as one of this database would.
  const rotated = async () => (await db.query('select queue_cur_table as t from pgq.queue'))[0]!.t !== 0;
  let events = 100;
  await until('the rotation', async () => {
    await fill(db, 1, events++);
    await consumeBatch(client, { queue: 'q', consumer: 'c' }, { handleEvent() {} }, minute());
    await maintain(client, minute());
    return await rotated();
  });
  expect(await db.query('select queue_switch_step2 is not null as whole from pgq.queue')).toEqual([
    { whole: true },
  ]);
});

it('tells the operator which consumer holds a rotation back', async () => {
  const { db, client } = await queueDatabase();
  await registerConsumer(client, 'q', 'slow');
  await configureQueue(client, 'q', { rotationPeriodSeconds: 0 });
  for (let round = 0; round < 2; round++) {
    await fill(db, 1, round + 1);
    await consumeBatch(client, { queue: 'q', consumer: 'c' }, { handleEvent() {} }, minute());
    await maintain(client, minute());
  }
  expect((await queueStatus(client, 'q'))[0]!.rotationBlocked).toMatchObject({ consumer: 'slow' });
});

it('asks the tables what is due: batches, groups, maintenance, and for how long nothing happened', async () => {
  const { db, client } = await queueDatabase();
  const base = { database: 'd', queue: 'q', kind: 'handler', handler: 'x', deadAfterSeconds: 60 };
  const config = {
    consumers: {
      plain: { ...base, consumer: 'c', subconsumers: 0 },
      group: { ...base, consumer: 'g', subconsumers: 3 },
      elsewhere: { ...base, database: 'other', consumer: 'c', subconsumers: 0 },
    },
  } as unknown as Config;
  await registerConsumer(client, 'q', 'g');
  expect((await queueDueWork(client, config, 'd')).jobs).toEqual([{ v: 1, kind: 'maintain', database: 'd' }]);
  await maintain(client, minute());
  expect((await queueDueWork(client, config, 'd')).jobs).toEqual([]);
  for (let batch = 0; batch < 5; batch++) await fill(db, 1, batch + 1);
  const due = await queueDueWork(client, config, 'd');
  expect(due.jobs.map((job) => (job.kind === 'consume' ? job.consumer : job.kind)).sort()).toEqual([
    'group',
    'group',
    'group',
    'plain',
  ]);
  expect(due.idleSeconds).toBeLessThan(60);
  await client.query(`select pgq.acquire_lease('q', 'c', 'somebody', '1 minute')`);
  expect(
    (await queueDueWork(client, config, 'd')).jobs.some(
      (job) => 'consumer' in job && job.consumer === 'plain',
    ),
  ).toBe(false);
  await db.query(`update pgq.maintenance_run set finished_at = now() - interval '3 minutes'`);
  expect((await queueDueWork(client, config, 'd')).jobs).toContainEqual({
    v: 1,
    kind: 'maintain',
    database: 'd',
  });
  await db.query(`update pgq.tick set tick_time = tick_time - interval '1 hour'`);
  expect((await queueDueWork(client, config, 'd')).idleSeconds).toBeGreaterThan(3_500);
  await forceTick(client, 'q', minute());
});

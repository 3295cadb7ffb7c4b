import type pg from 'pg';
import { expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

// Each weakness of the original that lost or repeated events, or failed where it need not: shown to be gone.

async function value(client: pg.Client, text: string, values?: unknown[]): Promise<unknown> {
  const { rows } = await client.query(text, values);
  return rows.length === 0 ? undefined : Object.values(rows[0] as Record<string, unknown>)[0];
}

async function queueWithConsumer(): Promise<{ db: TestDatabase; client: pg.Client }> {
  const db = await testDatabase();
  const client = await db.connect();
  await client.query("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
  await client.query(
    `update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0', queue_rotation_period = '0'`,
  );
  return { db, client };
}

/** Reads batches until there is none, and returns the data of all events. */
async function drain(client: pg.Client, consumer = 'c'): Promise<string[]> {
  const data: string[] = [];
  for (;;) {
    const batch = await value(client, "select pgq.next_batch('q', $1)", [consumer]);
    if (batch === null) return data;
    const { rows } = await client.query('select ev_data from pgq.get_batch_events($1)', [batch]);
    data.push(...rows.map((row) => row.ev_data as string));
    await client.query('select pgq.finish_batch($1)', [batch]);
  }
}

/** Both steps, each in a transaction of its own, as maintenance does; returns the current table afterwards. */
async function rotate(client: pg.Client): Promise<unknown> {
  await client.query("select pgq.maint_rotate_tables_step1('q')");
  await client.query('select pgq.maint_rotate_tables_step2()');
  return value(client, "select queue_cur_table from pgq.queue where queue_name = 'q'");
}

/**
 * Ticks, reads and rotates until the current table is another one. More than once, because transactions of other
 * databases of the server hold the ticks' xmin back as well.
 */
async function rotateOn(client: pg.Client): Promise<string[]> {
  const data: string[] = [];
  const before = await value(client, "select queue_cur_table from pgq.queue where queue_name = 'q'");
  do {
    await client.query('select pgq.ticker()');
    data.push(...(await drain(client)));
  } while ((await rotate(client)) === before);
  return data;
}

/** Until somebody in this database waits for a lock (whose server process it is, a pooler hides). */
async function blocked(client: pg.Client): Promise<void> {
  for (;;) {
    const waits = await value(
      client,
      `select exists (select from pg_stat_activity where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0)`,
    );
    if (waits) return;
    // Inside a transaction the activity stays as it was first seen.
    await client.query('select pg_stat_clear_snapshot()');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('two calls of next_batch at the same time get the same batch', async () => {
  const { db, client } = await queueWithConsumer();
  const other = await db.connect();
  await client.query('select pgq.ticker()');
  await client.query('begin');
  const first = await value(client, "select pgq.next_batch('q', 'c')");
  const second = value(other, "select pgq.next_batch('q', 'c')");
  await blocked(client);
  await client.query('commit');
  expect(await second).toBe(first);
  expect(await value(client, 'select pgq.finish_batch($1)', [first])).toBe(1);
});

test('a ticker waits for the one before it, and its snapshot is the newer one', async () => {
  const { db, client } = await queueWithConsumer();
  const other = await db.connect();
  await client.query('begin');
  await client.query("select pgq.ticker('q')");
  expect(await value(other, 'select pgq.ticker()'), 'all queues: leaves it out').toBe('0');
  const waiting = value(other, "select pgq.ticker('q')");
  await blocked(client);
  const third = await db.connect();
  await third.query("select pgq.insert_event('q', 't', 'between')");
  await client.query('commit');
  expect(await waiting).toBe('3');
  const { rows } = await client.query(
    `select count(*) from pgq.tick a, pgq.tick b
      where a.tick_id < b.tick_id and txid_snapshot_xmax(a.tick_snapshot) > txid_snapshot_xmax(b.tick_snapshot)`,
  );
  expect(rows).toEqual([{ count: '0' }]);
  await client.query('select pgq.ticker()');
  expect(await drain(client)).toEqual(['between']);
});

test('a ticker with an old snapshot stores no tick', async () => {
  const { db, client } = await queueWithConsumer();
  const stale = await db.connect();
  await stale.query('begin isolation level repeatable read; select 1 from pgq.queue');
  await client.query("select pgq.insert_event('q', 't', 'event')");
  await client.query('select pgq.ticker()');
  expect(await value(stale, 'select pgq.ticker()')).toBe('0');
  expect(await value(stale, "select pgq.ticker('q')")).toBeNull();
  await stale.query('commit');
  await stale.query("begin isolation level repeatable read; select pgq.ticker('q'); commit");
  expect(await drain(client)).toEqual(['event']);

  await client.query('update pgq.queue set queue_external_ticker = true');
  await client.query("select pgq.ticker('q', 100, now(), 1)");
  await stale.query('begin isolation level repeatable read; select 1 from pgq.queue');
  await client.query("select pgq.ticker('q', 101, now(), 1)");
  await expect(stale.query("select pgq.ticker('q', 102, now(), 1)")).rejects.toMatchObject({ code: '40001' });
  await stale.query('rollback');
});

test.each(['repeatable read', 'serializable'])(
  'a %s producer cannot write to a table that was rotated away after its snapshot',
  async (isolation) => {
    const { db, client } = await queueWithConsumer();
    const producer = await db.connect();
    for (const write of [
      "select pgq.insert_event('q', 't', 'lost')",
      "select pgq.current_event_table('q')",
    ]) {
      await producer.query(`begin isolation level ${isolation}; select count(*) from pgq.queue`);
      await rotateOn(client);
      await expect(producer.query(write)).rejects.toMatchObject({ code: '40001' });
      await producer.query('rollback');
    }
    // the same without a rotation in between, and with one that was rolled back
    await client.query('select pgq.ticker()');
    await drain(client);
    await producer.query(`begin isolation level ${isolation}; select count(*) from pgq.queue`);
    await client.query("begin; select pgq.maint_rotate_tables_step1('q')");
    await producer.query("select pgq.insert_event('q', 't', 'a')");
    await client.query('rollback');
    await producer.query("select pgq.insert_event('q', 't', 'b')");
    await producer.query('commit');
    await client.query("select pgq.insert_event('q', 't', 'c')");
    await client.query('select pgq.ticker()');
    expect(await drain(client)).toEqual(['a', 'b', 'c']);
  },
);

test('a producer that has its xid before a rotation is found after it', async () => {
  const { db, client } = await queueWithConsumer();
  const old = await db.connect();
  const readyToRotate = `select txid_snapshot_xmin(tick_snapshot) > queue_switch_step2
                           from pgq.tick join pgq.queue on tick_queue = queue_id order by tick_id desc limit 1`;
  do {
    await client.query('select pgq.ticker()');
    await drain(client);
  } while (!(await value(client, readyToRotate)));
  await old.query("begin; select pgq.insert_event('q', 't', 'old table')");
  expect(await rotate(client)).toBe(1);
  await old.query("select pgq.insert_event('q', 't', 'new table')");
  await client.query('select pgq.ticker()');
  expect(await drain(client)).toEqual([]);
  expect(await rotate(client), 'held back by the open transaction').toBe(1);
  expect(await value(client, 'select consumer_name from pgq.rotation_blockers()')).toBe('c');
  await old.query('commit');
  await client.query('select pgq.ticker()');
  expect(await drain(client)).toEqual(['old table', 'new table']);
  expect(await rotateOn(client)).toEqual([]);
});

test('events of a transaction that is open while nobody reads reach who registers before it ends', async () => {
  const { db, client } = await queueWithConsumer();
  await client.query("select pgq.unregister_consumer('q', 'c')");
  const producer = await db.connect();
  await producer.query("begin; select pgq.insert_event('q', 't', 'event')");
  for (let i = 0; i < 4; i++) await rotate(client);
  expect(await value(client, 'select consumer_name from pgq.rotation_blockers()')).toBeNull();
  await client.query('select pgq.ticker()');
  await client.query("select pgq.register_consumer('q', 'c')");
  await producer.query('commit');
  await client.query('select pgq.ticker()');
  expect(await drain(client)).toEqual(['event']);
});

test('both rotation steps in one transaction lose nothing: the second step waits for the next one', async () => {
  const { db, client } = await queueWithConsumer();
  const producer = await db.connect();
  const bothSteps =
    "begin; select pgq.maint_rotate_tables_step1('q'); select pgq.maint_rotate_tables_step2()";
  do {
    await client.query('rollback');
    await client.query('select pgq.ticker()');
    await drain(client);
    await client.query(bothSteps);
  } while ((await value(client, 'select queue_cur_table from pgq.queue')) === 0);
  await producer.query("select pgq.insert_event('q', 't', 'event')");
  await client.query('commit');
  expect(await value(client, 'select queue_switch_step2 from pgq.queue')).toBeNull();
  // an xid given before step 1 was committed is not good enough either
  await client.query('select pgq.maint_rotate_tables_step2()');
  expect(await value(client, 'select queue_switch_step2 > queue_switch_step1 from pgq.queue')).toBe(true);
  await client.query('select pgq.ticker()');
  expect(await drain(client)).toEqual(['event']);
  // such a scheduler still gets on: every second round does the second step
  do {
    await client.query('select pgq.ticker()');
    await drain(client);
    await client.query(`${bothSteps}; commit`);
  } while ((await value(client, 'select queue_cur_table from pgq.queue')) === 1);
});

test('step 2 with an xid that is older than the switch does nothing', async () => {
  const { db, client } = await queueWithConsumer();
  const early = await db.connect();
  do {
    await early.query('rollback');
    await client.query('select pgq.ticker()');
    await drain(client);
    await early.query('begin; select txid_current()');
    await client.query("select pgq.maint_rotate_tables_step1('q')");
  } while ((await value(client, 'select queue_cur_table from pgq.queue')) === 0);
  await early.query('select pgq.maint_rotate_tables_step2(); commit');
  expect(await value(client, 'select queue_switch_step2 from pgq.queue')).toBeNull();
});

test('rotation at repeatable read says what is wrong instead of overlooking a registration', async () => {
  const { client } = await queueWithConsumer();
  await client.query('begin isolation level repeatable read');
  await expect(client.query("select pgq.maint_rotate_tables_step1('q')")).rejects.toThrow(
    'queue q maint failure: transaction is repeatable read',
  );
  await client.query('rollback');
});

test('an event that a batch holds twice can be retried', async () => {
  const { client } = await queueWithConsumer();
  await client.query("select pgq.insert_event('q', 't', 'x'), pgq.insert_event('q', 't', 'y')");
  await client.query('select pgq.ticker()');
  let batch = await value(client, "select pgq.next_batch('q', 'c')");
  await client.query('select pgq.event_retry($1, 1, 0)', [batch]);
  await client.query('select pgq.finish_batch($1)', [batch]);
  await client.query('select pgq.maint_retry_events()');
  await client.query('select pgq.ticker()');
  await client.query("select pgq.register_consumer_at('q', 'c', 1)");
  await client.query('delete from pgq.tick where tick_id = 2');
  batch = await value(client, "select pgq.next_batch('q', 'c')");
  expect(await value(client, 'select count(*) from pgq.get_batch_events($1) where ev_id = 1', [batch])).toBe(
    '2',
  );
  expect(await value(client, 'select pgq.event_retry($1, 1, 0)', [batch])).toBe(1);
  expect(await value(client, 'select ev_retry from pgq.retry_queue')).toBe(2);
  expect(await value(client, 'select pgq.event_retry($1, 1, 0)', [batch])).toBe(0);
  expect(await value(client, 'select pgq.batch_retry($1, 0)', [batch])).toBe(1);
});

test("the plain finish_batch knows a cooperative consumer's member, and so does unregistering", async () => {
  const { client } = await queueWithConsumer();
  await client.query("select pgq_coop.register_subconsumer('q', 'group', 's1')");
  await client.query("select pgq_coop.register_subconsumer('q', 'group', 's2')");
  await client.query('select pgq.ticker()');
  const batch = await value(client, "select pgq_coop.next_batch('q', 'group', 's1')");
  expect(await value(client, 'select pgq.finish_batch($1)', [batch])).toBe(1);
  expect(await value(client, "select last_tick from pgq.get_consumer_info('q', 'group.s1')")).toBeNull();
  expect(await value(client, "select pgq.unregister_consumer('q', 'group.s1')")).toBe(1);
  // the main with a batch open looks like a member with one
  await client.query("select pgq.ticker(); select pgq.next_batch('q', 'group')");
  expect(await value(client, "select pgq.unregister_consumer('q', 'group')")).toBe(2);
  expect(await value(client, "select count(*) from pgq.consumer where co_name like 'group%'")).toBe('0');
});

test('whoever creates, registers or drops second is told so', async () => {
  const db = await testDatabase();
  const [first, second] = [await db.connect(), await db.connect()];
  const race = async (a: string, b: string) => {
    await first.query('begin');
    const one = await value(first, a);
    const two = value(second, b);
    two.catch(() => {});
    await blocked(await db.connect());
    await first.query('commit');
    return [one, await two];
  };
  expect(await race("select pgq.create_queue('q')", "select pgq.create_queue('q')")).toEqual([1, 0]);
  const register = "select pgq.register_consumer('q', 'c')";
  expect(await race(register, register)).toEqual([1, 0]);
  await first.query("select pgq.create_queue('r')");
  const unregister = "select pgq.unregister_consumer('q', 'c')";
  expect(await race(unregister, "select pgq.register_consumer('r', 'c')")).toEqual([1, 1]);
  expect(
    await race("select pgq.register_consumer('q', 'c')", "select pgq.unregister_consumer('r', 'c')"),
  ).toEqual([1, 1]);
  await first.query("select pgq.unregister_consumer('q', 'c')");
  await expect(race("select pgq.drop_queue('q')", "select pgq.drop_queue('q')")).rejects.toThrow(
    'No such event queue',
  );
  await expect(race("select pgq.drop_queue('r')", "select pgq.register_consumer('r', 'c')")).rejects.toThrow(
    'Event queue not created yet',
  );
});

test('a queue dropped under the ticker takes no tick from the others', async () => {
  const { db, client } = await queueWithConsumer();
  const other = await db.connect();
  await client.query("select pgq.create_queue('stays')");
  await client.query("begin; select pgq.drop_queue('q', true)");
  const ticks = value(other, 'select pgq.ticker()');
  await blocked(await db.connect());
  await client.query('commit');
  expect(await ticks).toBe('1');
  await expect(other.query("select pgq.insert_event('q', 't', 'd')")).rejects.toThrow('No such queue');
});

test('retries of a queue that accepts no inserts do not hold up those of others', async () => {
  const { client } = await queueWithConsumer();
  await client.query("select pgq.create_queue('open'), pgq.register_consumer('open', 'c')");
  const retry = (queue: string, id: number) =>
    client.query(
      "select pgq.event_retry_raw($1, 'c', now() - interval '1 hour' + $2::int8 * interval '1 second', $2, now(), 0, 't', 'd', '', '', '', '')",
      [queue, id],
    );
  for (let id = 1; id <= 12; id++) await retry('q', id);
  for (let id = 13; id <= 24; id++) await retry('open', id);
  await client.query("update pgq.queue set queue_disable_insert = true where queue_name = 'q'");
  expect(await value(client, 'select pgq.maint_retry_events()')).toBe(10);
  expect(await value(client, 'select pgq.maint_retry_events()')).toBe(2);
  expect(await value(client, 'select pgq.maint_retry_events()')).toBe(0);
  await client.query(
    "update pgq.queue set queue_disable_insert = false, queue_per_tx_limit = 7 where queue_name = 'q'",
  );
  expect(await value(client, 'select pgq.maint_retry_events()')).toBe(7);
  expect(await value(client, 'select pgq.maint_retry_events()')).toBe(5);
});

test('a transaction that stays open for thousands of others makes batches no wider', async () => {
  const { db, client } = await queueWithConsumer();
  const open = await db.connect();
  await open.query("begin; select pgq.insert_event('q', 't', 'late')");
  const xid = BigInt((await value(open, 'select txid_current()')) as string);
  await client.query('do $$ begin for i in 1 .. 300 loop perform txid_current(); commit; end loop; end $$');
  await client.query('select pgq.ticker()');
  await drain(client);
  await client.query("select pgq.insert_event('q', 't', 'next')");
  await client.query('select pgq.ticker()');
  let batch = await value(client, "select pgq.next_batch('q', 'c')");
  const sql = (await value(client, 'select pgq.batch_event_sql($1)', [batch])) as string;
  expect(BigInt(/ev_txid >= (\d+)/.exec(sql)![1]!)).toBeGreaterThan(xid + 200n);
  expect(sql).not.toMatch(new RegExp(`in \\([^)]*\\b${xid}\\b`));
  expect(await drain(client)).toEqual(['next']);
  await open.query('commit');
  await client.query('select pgq.ticker()');
  batch = await value(client, "select pgq.next_batch('q', 'c')");
  expect(await value(client, 'select pgq.batch_event_sql($1)', [batch])).toMatch(
    new RegExp(`in \\([^)]*\\b${xid}\\b`),
  );
  expect(await drain(client)).toEqual(['late']);
});

test('events inserted by the transaction that created their queue are delivered, though younger ones have ended', async () => {
  const db = await testDatabase();
  const [creator, younger] = [await db.connect(), await db.connect()];
  await creator.query('begin; select txid_current()');
  await younger.query('select txid_current()');
  await creator.query("select pgq.create_queue('fresh'), pgq.register_consumer('fresh', 'c')");
  await creator.query("select pgq.insert_event('fresh', 't', 'first')");
  await creator.query('commit');
  await creator.query("select pgq.force_tick('fresh'), pgq.force_tick('fresh')");
  await creator.query('select pgq.ticker()');
  const { rows } = await creator.query(
    "select e.ev_data from pgq.get_batch_events(pgq.next_batch('fresh', 'c')) e",
  );
  expect(rows).toEqual([{ ev_data: 'first' }]);
});

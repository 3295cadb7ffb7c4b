import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase, testDatabase } from '../../support/postgres.ts';

// What PgQ's own clients and regression tests rely on, as facts: results, messages, sequence arithmetic.

/** One value of one row. */
async function value(
  client: pg.ClientBase | TestDatabase,
  text: string,
  values?: unknown[],
): Promise<unknown> {
  const result = await (client as { query(text: string, values?: unknown[]): Promise<unknown> }).query(
    text,
    values,
  );
  const rows = Array.isArray(result) ? result : (result as pg.QueryResult).rows;
  return Object.values(rows[0] as Record<string, unknown>)[0];
}

// londiste adds lines of its own
const OPERATIONS = "select * from pgq.maint_operations() where func_name not like 'londiste.%'";

/** Messages of the notices that a statement raises. */
async function warnings(client: pg.Client, text: string): Promise<string[]> {
  const seen: string[] = [];
  const listen = (notice: { message?: string | undefined }) => seen.push(notice.message ?? '');
  client.on('notice', listen);
  await client.query(text);
  client.off('notice', listen);
  return seen;
}

describe('a database with one queue after a thrown-away one', () => {
  let db: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    db = await createDatabase();
    client = await db.session();
    await client.query("set timezone = 'UTC'");
  });
  afterAll(() => db.drop());

  test('empty maintenance has nothing to do', async () => {
    expect((await client.query('select * from pgq.maint_tables_to_vacuum()')).rows).toEqual([]);
    expect(await value(client, 'select pgq.maint_retry_events()')).toBe(0);
    expect((await client.query(OPERATIONS)).rows).toEqual([]);
  });

  test('ids are never reused, and registration answers 1 then 0', async () => {
    expect(
      (
        await client.query(
          `select pgq.create_queue('tmp') a, pgq.register_consumer('tmp', 'c') b,
                  pgq.unregister_consumer('tmp', 'c') c, pgq.drop_queue('tmp') d`,
        )
      ).rows,
    ).toEqual([{ a: 1, b: 1, c: 1, d: 1 }]);
    expect(await value(client, "select pgq.create_queue('myqueue')")).toBe(1);
    expect(await value(client, "select pgq.create_queue('myqueue')")).toBe(0);
    expect(await value(client, "select queue_id from pgq.queue where queue_name = 'myqueue'")).toBe(2);
    expect(await value(client, "select pgq.register_consumer('myqueue', 'consumer')")).toBe(1);
    expect(await value(client, "select pgq.register_consumer('myqueue', 'consumer')")).toBe(0);
    expect(await value(client, "select pgq.unregister_consumer('myqueue', 'nobody')")).toBe(0);
    expect(await value(client, 'select tick_event_seq from pgq.tick')).toBe('1');
  });

  test('without a tick there is no batch; with one, every call gives the same batch', async () => {
    expect(await value(client, "select pgq.next_batch('myqueue', 'consumer')")).toBeNull();
    expect(await value(client, "select pgq.next_batch('myqueue', 'consumer')")).toBeNull();
    expect(await value(client, 'select pgq.ticker()')).toBe('1');
    expect(await value(client, "select pgq.next_batch('myqueue', 'consumer')")).toBe('1');
    expect(await value(client, "select pgq.next_batch('myqueue', 'consumer')")).toBe('1');
    const info = (await client.query('select * from pgq.get_batch_info(1)')).rows[0];
    expect(info).toMatchObject({
      queue_name: 'myqueue',
      consumer_name: 'consumer',
      prev_tick_id: '1',
      tick_id: '2',
    });
    expect((await client.query('select * from pgq.get_batch_events(1)')).rows).toEqual([]);
    const consumers = (await client.query('select * from pgq.get_consumer_info()')).rows;
    expect(consumers).toHaveLength(1);
    expect(consumers[0]).toMatchObject({
      current_batch: '1',
      next_tick: '2',
      last_tick: '1',
      pending_events: '0',
    });
    const queues = (
      await client.query(
        `select queue_name, queue_ntables, queue_cur_table, queue_rotation_period::text, queue_external_ticker,
                queue_ticker_paused, queue_ticker_max_count, queue_ticker_max_lag::text,
                queue_ticker_idle_period::text, last_tick_id from pgq.get_queue_info('myqueue')`,
      )
    ).rows;
    expect(queues).toEqual([
      {
        queue_name: 'myqueue',
        queue_ntables: 3,
        queue_cur_table: 0,
        queue_rotation_period: '02:00:00',
        queue_external_ticker: false,
        queue_ticker_paused: false,
        queue_ticker_max_count: 500,
        queue_ticker_max_lag: '00:00:03',
        queue_ticker_idle_period: '00:01:00',
        last_tick_id: '2',
      },
    ]);
  });

  test('a finished batch is finished once', async () => {
    expect(await value(client, 'select pgq.finish_batch(1)')).toBe(1);
    expect(await warnings(client, 'select pgq.finish_batch(1)')).toEqual(['finish_batch: batch 1 not found']);
    expect(await value(client, 'select pgq.finish_batch(1)')).toBe(0);
    expect(await warnings(client, 'select pgq.finish_batch(null)')).toEqual([
      'finish_batch: batch <NULL> not found',
    ]);
  });

  test('events carry their ten columns, in the order of their ids', async () => {
    expect(await value(client, "select pgq.insert_event('myqueue', 'r1', 'data')")).toBe('1');
    expect(
      await value(client, "select pgq.insert_event('myqueue', 'r2', 'data', 'e1', 'e2', 'e3', 'e4')"),
    ).toBe('2');
    expect(await value(client, "select pgq.insert_event('myqueue', null, null)")).toBe('3');
    expect(await value(client, "select pgq.current_event_table('myqueue')")).toBe('pgq.event_2_0');
    await client.query(
      `update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0' where queue_name = 'myqueue'`,
    );
    expect(await value(client, "select pgq.ticker('myqueue')")).toBe('3');
    const empty = (
      await client.query(
        "select * from pgq.next_batch_custom('myqueue', 'consumer', '1 hour', 10000, '10 minutes')",
      )
    ).rows;
    expect(empty).toEqual([
      {
        batch_id: null,
        cur_tick_id: null,
        prev_tick_id: null,
        cur_tick_time: null,
        prev_tick_time: null,
        cur_tick_event_seq: null,
        prev_tick_event_seq: null,
      },
    ]);
    expect(await value(client, "select pgq.next_batch('myqueue', 'consumer')")).toBe('2');
    // the previous table may come first, while transactions of other databases hold the tick's xmin back
    expect((await client.query('select * from pgq.batch_event_tables(2)')).rows.at(-1)).toEqual({
      batch_event_tables: 'pgq.event_2_0',
    });
    const events = (await client.query('select * from pgq.get_batch_events(2)')).rows;
    expect(
      events.map((event) => [event.ev_id, event.ev_type, event.ev_data, event.ev_extra1, event.ev_extra4]),
    ).toEqual([
      ['1', 'r1', 'data', null, null],
      ['2', 'r2', 'data', 'e1', 'e4'],
      ['3', null, null, null, null],
    ]);
    expect(events.every((event) => event.ev_retry === null && event.ev_time instanceof Date)).toBe(true);
    expect(Object.keys(events[0])).toEqual([
      'ev_id',
      'ev_time',
      'ev_txid',
      'ev_retry',
      'ev_type',
      'ev_data',
      'ev_extra1',
      'ev_extra2',
      'ev_extra3',
      'ev_extra4',
    ]);
    expect(await value(client, "select pgq.batch_event_sql(2) like '% order by 1'")).toBe(true);
  });

  test('a cursor gives the first events and can be fetched from', async () => {
    await client.query('begin');
    const first = await client.query("select ev_id from pgq.get_batch_cursor(2, 'batch_walker', 2, null)");
    expect(first.rows.map((row) => row.ev_id)).toEqual(['1', '2']);
    expect((await client.query('fetch 10 from batch_walker')).rows).toHaveLength(1);
    await client.query('close batch_walker');
    expect(
      (await client.query("select * from pgq.get_batch_cursor(2, 'a b', 10, 'ev_id = 1 or ev_type is null')"))
        .rows,
    ).toHaveLength(2);
    await client.query('close "a b"');
    expect((await client.query("select * from pgq.get_batch_cursor(2, 'all', 10)")).rows).toHaveLength(3);
    await client.query('close "all"');
    expect((await client.query("select * from pgq.get_batch_cursor(null, 'none', 10, null)")).rows).toEqual(
      [],
    );
    await client.query('commit');
  });

  test('a retried event comes back with its id and a count, to this consumer alone', async () => {
    expect(await value(client, 'select pgq.event_retry(2, 2, 0)')).toBe(1);
    expect(await value(client, 'select pgq.event_retry(2, 2, 0)')).toBe(0);
    expect(await value(client, 'select pgq.batch_retry(2, 0)')).toBe(2);
    expect(await value(client, 'select pgq.batch_retry(2, 0)')).toBe(0);
    expect(
      await value(
        client,
        "select pgq.event_retry_raw('myqueue', 'consumer', now(), 666, now(), 0, 't', 'd', null, null, null, null)",
      ),
    ).toBe('666');
    expect(await value(client, 'select pgq.finish_batch(2)')).toBe(1);
    expect(await value(client, "select pgq.register_consumer('myqueue', 'other')")).toBe(1);
    expect(await value(client, 'select pgq.maint_retry_events()')).toBe(4);
    expect(await value(client, 'select pgq.maint_retry_events()')).toBe(0);
    await client.query("select pgq.ticker('myqueue')");
    const batch = await value(client, "select pgq.next_batch('myqueue', 'consumer')");
    const events = (await client.query('select ev_id, ev_retry from pgq.get_batch_events($1)', [batch])).rows;
    expect(events).toEqual([
      { ev_id: '1', ev_retry: 1 },
      { ev_id: '2', ev_retry: 1 },
      { ev_id: '3', ev_retry: 1 },
      { ev_id: '666', ev_retry: 0 },
    ]);
    const other = await value(client, "select pgq.next_batch('myqueue', 'other')");
    expect((await client.query('select * from pgq.get_batch_events($1)', [other])).rows).toEqual([]);
    await client.query('select pgq.finish_batch($1), pgq.finish_batch($2)', [batch, other]);
    // each moved event used one value of the sequence, beside the three inserted
    expect(await value(client, "select pgq.seq_getval('pgq.event_2_id_seq')")).toBe('7');
  });

  test('forced ticks and sequence helpers count as they always did', async () => {
    await client.query("select pgq.create_queue('forced')");
    await client.query("select pgq.insert_event('forced', 't', i::text) from generate_series(1, 4) i");
    await client.query("select pgq.force_tick('forced')");
    const sequence = await value(client, "select queue_event_seq from pgq.queue where queue_name = 'forced'");
    expect(await value(client, 'select nextval($1::regclass)', [sequence])).toBe('2006');
    expect(await value(client, "select pgq.force_tick('nosuch')")).toBeNull();
    expect(await value(client, "select pgq.quote_fqname('a.b.c')")).toBe('a."b.c"');
    expect(await value(client, "select pgq.quote_fqname('Tab')")).toBe('public."Tab"');
    await client.query('create sequence public.foo');
    expect(await value(client, "select pgq.seq_getval('foo')")).toBe('1');
    expect(await value(client, "select pgq.seq_setval('public.foo', 10)")).toBe('10');
    expect(await value(client, "select pgq.seq_setval('foo', 5)")).toBe('10');
    expect(await value(client, "select pgq.seq_setval('foo', 15)")).toBe('15');
    await client.query("select pgq.drop_queue('forced')");
  });

  test('maintenance lists rotation, then extra functions', async () => {
    await client.query("select pgq.set_queue_config('myqueue', 'rotation_period', '0 seconds')");
    const rotation = [
      { func_name: 'pgq.maint_rotate_tables_step1', func_arg: 'myqueue' },
      { func_name: 'pgq.maint_rotate_tables_step2', func_arg: null },
    ];
    expect((await client.query(OPERATIONS)).rows).toEqual(rotation);
    expect(await value(client, "select pgq.maint_rotate_tables_step1('myqueue')")).toBe(0);
    expect(await value(client, 'select pgq.maint_rotate_tables_step2()')).toBe(0);
    expect((await client.query(OPERATIONS)).rows).toEqual(rotation);
    await client.query("update pgq.queue set queue_extra_maint = array['baz', 'foo.bar']");
    expect((await client.query(OPERATIONS)).rows).toEqual([
      ...rotation,
      { func_name: 'baz', func_arg: 'myqueue' },
      { func_name: 'foo.bar', func_arg: 'myqueue' },
    ]);
    await client.query('update pgq.queue set queue_extra_maint = null');
  });

  test('dropping needs force while consumers are attached', async () => {
    await expect(client.query("select pgq.drop_queue('myqueue')")).rejects.toThrow(
      'cannot drop queue, consumers still attached',
    );
    expect(await value(client, 'select pgq.drop_queue(null)')).toBeNull();
    expect(await value(client, "select pgq.drop_queue('myqueue', true)")).toBe(1);
    await expect(client.query("select pgq.drop_queue('myqueue', true)")).rejects.toThrow(
      'No such event queue',
    );
    expect(await value(client, 'select count(*) from pgq.consumer')).toBe('0');
    expect(await value(client, "select count(*) from pg_class where relname ~ '^event_[0-9]'")).toBe('0');
    expect(await value(client, "select count(*) from pg_proc where proname ~ '^_insert_[0-9]'")).toBe('0');
  });
});

describe('settings of a queue', () => {
  test('messages of wrong names and values', async () => {
    const db = await testDatabase();
    await db.query("select pgq.create_queue('q')");
    const failing: [string, string][] = [
      ['select pgq.create_queue(null)', 'Invalid NULL value'],
      ["select pgq.set_queue_config(null, 'ticker_paused', 'true')", 'Invalid NULL value'],
      ["select pgq.set_queue_config('nosuch', 'nosuch', 'true')", 'No such event queue'],
      ["select pgq.set_queue_config('q', 'per_tx_limit', '1')", 'cannot change parameter "per_tx_limits"'],
      ["select pgq.set_queue_config('q', 'ticker_paused', null)", 'query string argument of EXECUTE is null'],
      ["select pgq.set_queue_config('q', 'ticker_max_count', 'x')", 'invalid input syntax for type integer'],
      ["select pgq.insert_event('nosuch', 't', 'd')", 'No such queue'],
      ["select pgq.insert_event(null, 't', 'd')", 'Queue name must not be NULL'],
      ["select pgq.current_event_table('nosuch')", 'Event queue not found'],
      ["select pgq.ticker('nosuch')", 'no such queue'],
      ["select pgq.ticker('q', 1, now(), 1)", 'queue not found or ticker disabled: q'],
      ["select pgq.register_consumer('nosuch', 'c')", 'Event queue not created yet'],
      ["select pgq.register_consumer_at('q', 'c', 77)", 'cannot reposition, tick not found: 77'],
      ["select pgq.next_batch('q', 'c')", 'Not subscriber to queue: q/c'],
      ["select pgq.next_batch(null, 'c')", 'Not subscriber to queue: NULL/c'],
      ['select * from pgq.get_batch_events(77)', 'batch not found'],
      ['select * from pgq.get_batch_events(null)', 'batch not found'],
      ['select * from pgq.batch_event_tables(77)', 'Cannot find data for batch 77'],
      ['select pgq.event_retry(77, 1, 0)', 'event not found'],
      ['select pgq.batch_retry(77, 0)', 'batch_retry: batch 77 not found'],
      [
        "select pgq.event_retry_raw('q', 'c', now(), 1, now(), 0, '', '', '', '', '', '')",
        'consumer not registered',
      ],
      ["select pgq.grant_perms('nosuch')", 'Queue not found'],
    ];
    for (const [statement, message] of failing) {
      await expect(db.query(statement), statement).rejects.toThrow(message);
    }
    await db.query("delete from pgq.tick; select pgq.create_queue('r')");
    await expect(db.query("select pgq.register_consumer('q', 'c')")).rejects.toThrow(
      'No ticks for this queue.  Please run ticker on database.',
    );
    expect(await value(db, "select pgq.tune_storage('nosuch')")).toBe(0);
    expect(await value(db, 'select pgq.version()')).toMatch(/^3/);
    expect((await db.query('select * from pgq.get_batch_info(77)'))[0]).toMatchObject({
      queue_name: null,
      lag: null,
    });
  });

  test('any text names a queue', async () => {
    const db = await testDatabase();
    for (const name of ['a.b', "it's", 'Ünï "q" %s %', '', 'x'.repeat(300)]) {
      expect(await value(db, 'select pgq.create_queue($1)', [name])).toBe(1);
      expect(await value(db, "select pgq.insert_event($1, 't', 'd')", [name])).toBe('1');
      expect(await value(db, 'select pgq.drop_queue($1)', [name])).toBe(1);
    }
  });

  test('updates of pgq.queue are obeyed at once', async () => {
    const db = await testDatabase();
    const superuser = await db.session('postgres');
    const client = await db.connect();
    await client.query("select pgq.create_queue('q')");
    const insert = "select pgq.insert_event('q', 't', 'd')";
    expect(await value(client, insert)).toBe('1');
    await client.query('update pgq.queue set queue_disable_insert = true');
    await expect(client.query(insert)).rejects.toThrow('Insert into queue disallowed');
    await expect(client.query("select pgq.current_event_table('q')")).rejects.toThrow(
      'Writing to queue disabled',
    );
    await superuser.query('set session_replication_role = local');
    await expect(superuser.query(insert)).rejects.toThrow('Insert into queue disallowed');
    await superuser.query('set session_replication_role = replica');
    expect(await value(superuser, insert)).toBe('4');
    await client.query('update pgq.queue set queue_disable_insert = false, queue_per_tx_limit = 2');
    await client.query('begin');
    expect(await value(client, insert)).toBe('5');
    expect(await value(client, insert)).toBe('6');
    await expect(client.query(insert)).rejects.toThrow("Queue 'q' allows max 2 events from one TX");
    await client.query('rollback; update pgq.queue set queue_per_tx_limit = 0');
    await expect(client.query(insert)).rejects.toThrow("Queue 'q' allows max 0 events from one TX");
    await client.query('update pgq.queue set queue_per_tx_limit = -1');
    expect(await value(client, insert), 'below 0 is no limit').toBe('9');
    await client.query('update pgq.queue set queue_per_tx_limit = null, queue_cur_table = 2');
    expect(await value(client, insert)).toBe('10');
    expect(
      await value(client, 'select tableoid::regclass::text from pgq.event_template where ev_id = 10'),
    ).toBe('pgq.event_1_2');
    await client.query("update pgq.queue set queue_name = 'renamed'");
    await expect(client.query(insert)).rejects.toThrow('No such queue');
    expect(await value(client, "select pgq.insert_event('renamed', 't', 'd')")).toBe('11');
  });

  test('bulk loads reach the current table and use its sequence', async () => {
    const db = await testDatabase();
    await db.query("select pgq.create_queue('q')");
    await db.query(
      "insert into pgq.event_1_0 (ev_time, ev_type) select now(), 't' from generate_series(1, 3)",
    );
    expect(await value(db, 'select array_agg(ev_id order by ev_id)::text from pgq.event_template')).toBe(
      '{1,2,3}',
    );
    expect(
      await value(db, "select reloptions::text from pg_class where oid = 'pgq.event_1_0'::regclass"),
    ).toContain('autovacuum_enabled=off');
  });
});

describe('ticker', () => {
  test('busy queues tick at the count or the lag, idle ones ever more rarely', async () => {
    const db = await testDatabase();
    const client = await db.connect();
    /** Calls the ticker when the last ticks are so many seconds old, to the microsecond: `now()` stands still in a transaction. */
    const tickAt = async (seconds: number[], ticker = "pgq.ticker('q')") => {
      await client.query('begin');
      await client.query(
        `update pgq.tick t set tick_time = now() - s * interval '1 second'
           from unnest($1::float8[]) with ordinality as a (s, n), (select max(tick_id) as top from pgq.tick) m
          where t.tick_id = m.top - a.n + 1`,
        [seconds],
      );
      const ticked = await value(client, `select ${ticker}`);
      await client.query('commit');
      return ticked;
    };
    await client.query("select pgq.create_queue('q')");
    expect(await tickAt([0]), 'one tick only').toBe('2');
    expect(await tickAt([0, 0])).toBeNull();
    expect(await tickAt([10, 15]), 'twice the last gap').toBe('3');
    expect(await tickAt([10, 18])).toBeNull();
    expect(await tickAt([61, 200]), 'idle period').toBe('4');
    expect(await tickAt([1.4, 1.5]), 'not before half the lag').toBeNull();
    await client.query("select pgq.insert_event('q', 't', 'd') from generate_series(1, 2)");
    expect(await tickAt([2.9, 4])).toBeNull();
    expect(await tickAt([3, 4]), 'lag').toBe('5');
    await client.query("select pgq.insert_event('q', 't', 'd') from generate_series(1, 499)");
    expect(await tickAt([0, 4], 'pgq.ticker()')).toBe('0');
    await client.query("select pgq.insert_event('q', 't', 'd')");
    expect(await tickAt([0, 4], 'pgq.ticker()'), 'count').toBe('1');
  });

  test("a queue's very first event is ticked by its lag, not by the idle period", async () => {
    const db = await testDatabase();
    await db.query("select pgq.create_queue('q')");
    await db.query('select pgq.ticker()');
    await db.query("update pgq.tick set tick_time = now() - interval '1 day' where tick_id = 1");
    await db.query("select pgq.insert_event('q', 't', 'd')");
    await db.query("update pgq.tick set tick_time = now() - interval '4 seconds' where tick_id = 2");
    expect(await value(db, 'select pgq.ticker()')).toBe('1');
    await db.query(
      "update pgq.tick set tick_time = now() - case tick_id when 2 then 100 else 4 end * interval '1 second'",
    );
    expect(await value(db, 'select pgq.ticker()'), 'and only once').toBe('0');
    expect(await value(db, 'select max(tick_event_seq) from pgq.tick')).toBe('1');
  });

  test('tick_now ticks below all thresholds; pending events and the rate stay those of the events', async () => {
    const db = await testDatabase();
    await db.query("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    await db.query("select pgq.set_queue_config('q', 'ticker_max_lag', '1 hour')");
    await db.query(
      "select pgq.insert_events('q', array_fill('t'::text, array[10]), array_fill('d'::text, array[10]))",
    );
    expect(await value(db, "select pgq.ticker('q')"), 'no threshold is met').toBeNull();
    expect(await value(db, "select pgq.tick_now('q')")).toBe('2');
    expect(await value(db, "select pgq.tick_now('q')"), 'nothing new').toBe('3');
    expect(await value(db, "select pending_events from pgq.get_consumer_info('q')")).toBe('9');
    expect(await value(db, "select ev_new from pgq.get_queue_info('q')")).toBe('0');
    expect(await value(db, "select pgq.insert_event('q', 't', 'd')"), 'no id is skipped').toBe('11');
  });

  test('queues that are paused or ticked from outside are left alone', async () => {
    const db = await testDatabase();
    await db.query("select pgq.create_queue('p'), pgq.create_queue('x')");
    await db.query("select pgq.set_queue_config('p', 'ticker_paused', 'true')");
    await db.query("select pgq.set_queue_config('x', 'external_ticker', 'true')");
    expect(await value(db, 'select pgq.ticker()')).toBe('0');
    await expect(db.query("select pgq.ticker('p')")).rejects.toThrow('Ticker has been paused for this queue');
    await expect(db.query("select pgq.ticker('x')")).rejects.toThrow('This queue has external tick source.');
    await expect(db.query("select pgq.tick_now('p')")).rejects.toThrow(
      'Ticker has been paused for this queue',
    );
    await expect(db.query("select pgq.tick_now('x')")).rejects.toThrow(
      'This queue has external tick source.',
    );
    expect(await value(db, "select pgq.force_tick('x')")).toBe('1');
    expect(await value(db, "select pgq.ticker('x', 10, now(), 100)")).toBe('10');
    expect(await value(db, "select pgq.ticker('x', 11, now(), 0)"), 'smaller sequence value').toBe('11');
    expect(await value(db, "select pgq.ticker('x', 5, now(), 0)"), 'lower id').toBe('5');
    expect(await value(db, "select pgq.seq_getval('pgq.event_2_tick_seq')")).toBe('11');
    expect(await value(db, "select pgq.seq_getval('pgq.event_2_id_seq')")).toBe('100');
    await expect(db.query("select pgq.ticker('x', 11, now(), 0)")).rejects.toThrow('tick_pkey');
  });

  test('a ticker that may not write, on a standby perhaps, fails instead of warning for each queue', async () => {
    const db = await testDatabase();
    await db.query("select pgq.create_queue(n) from unnest(array['a', 'b']) n");
    const client = await db.connect();
    await client.query('begin read only');
    await expect(client.query('select pgq.ticker()')).rejects.toMatchObject({ code: '25006' });
    await client.query('rollback');
  });

  test('one queue in a bad state does not stop the ticks of the others', async () => {
    const db = await testDatabase();
    const client = await db.connect();
    await client.query("select pgq.create_queue(n) from unnest(array['a', 'b', 'c', 'd', 'e']) n");
    await client.query('drop sequence pgq.event_2_id_seq cascade');
    await client.query(
      `update pgq.tick set tick_snapshot = '99999999:99999999:' where tick_queue = 3;
       update pgq.tick set tick_event_seq = 50 where tick_queue = 4`,
    );
    const seen = await warnings(client, 'select pgq.ticker()');
    expect(seen).toEqual([
      'no tick for queue "b": queue "b" has lost its event sequence',
      expect.stringMatching(
        /^no tick for queue "c": Invalid PgQ state: old xmin=99999999, old xmax=99999999, cur txid=/,
      ),
      'Negative new_events?  old=50 cur=1',
    ]);
    expect((await client.query('select tick_queue from pgq.tick where tick_id = 2 order by 1')).rows).toEqual(
      [{ tick_queue: 1 }, { tick_queue: 4 }, { tick_queue: 5 }],
    );
    await expect(client.query("select pgq.ticker('c')")).rejects.toThrow(
      /^Invalid PgQ state: old xmin=99999999/,
    );
    // behind what was ticked, as after a restore of a part
    await client.query(
      "select setval('pgq.event_5_tick_seq', 1); update pgq.tick set tick_id = 7 where tick_queue = 5 and tick_id = 2",
    );
    await client.query(
      "update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0' where queue_name = 'e'",
    );
    await client.query('select pgq.ticker()');
    expect(await value(client, 'select max(tick_id) from pgq.tick where tick_queue = 5')).toBe('8');
    // a trigger of the user's that refuses one queue makes the set-based insert fail
    await client.query(`
      create function public.refuse() returns trigger language plpgsql as
        $$ begin if new.tick_queue = 1 then raise exception 'no'; end if; return new; end $$;
      create trigger refuse before insert on pgq.tick for each row execute function public.refuse();
      update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);
    expect(await warnings(client, 'select pgq.ticker()')).toContain('no tick for queue "a": no');
    expect(await value(client, 'select max(tick_id) from pgq.tick where tick_queue = 5')).toBe('9');
  });
});

describe('minimal batch sizes', () => {
  test('the newest tick if it is big enough and not twice too big, else the first that is', async () => {
    const db = await testDatabase();
    await db.query("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
    await db.query(
      `delete from pgq.tick where tick_id > 1;
       update pgq.tick set tick_event_seq = 0, tick_time = '2026-01-01 00:00Z';
       insert into pgq.tick (tick_queue, tick_id, tick_time, tick_event_seq)
       select 1, n, timestamptz '2026-01-01 00:00Z' + (n - 1) * interval '1 minute', (n - 1) * 10
         from generate_series(2, 10) n`,
    );
    const pick = (count: number | null, interval: string | null) =>
      value(db, "select next_tick_id from pgq.find_tick_helper(1, 1, '2026-01-01 00:00Z', 0, $1, $2)", [
        count,
        interval,
      ]);
    expect(await pick(50, null), 'newest').toBe('10');
    expect(await pick(91, null), 'too small').toBeNull();
    expect(await pick(40, null), 'more than twice').toBe('5');
    expect(await pick(null, '3 minutes')).toBe('4');
    expect(await pick(null, '5 minutes')).toBe('10');
    expect(await pick(1000, '2 minutes')).toBe('3');
    const lagging = "select cur_tick_id from pgq.next_batch_custom('q', 'c', $1, null, null)";
    expect(await value(db, lagging, ['10000 years'])).toBeNull();
    expect(await value(db, lagging, [null])).toBe('2');
  });
});

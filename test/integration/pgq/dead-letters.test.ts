import { expect, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

/** A queue with a consumer and an open batch of so many events. */
async function openBatch(events: number): Promise<{ db: TestDatabase; batch: string }> {
  const db = await testDatabase();
  await db.query("select pgq.create_queue('q'), pgq.register_consumer('q', 'c')");
  await db.query("select pgq.insert_event('q', 't' || i, 'd' || i) from generate_series(1, $1::int) i", [
    events,
  ]);
  return { db, batch: await next(db) };
}

async function next(db: TestDatabase): Promise<string> {
  await db.query("select pgq.force_tick('q')");
  await db.query("select pgq.ticker('q')");
  const [row] = await db.query<{ batch: string }>("select pgq.next_batch('q', 'c') as batch");
  return row!.batch;
}

const fail = async (db: TestDatabase, batch: string, event: number, reason = 'because') =>
  (
    await db.query(
      `select outcome, extract(epoch from retry_after - now())::float8 as seconds from pgq.event_fail($1, $2, $3)`,
      [batch, event, reason],
    )
  )[0]!;

test('a failed event comes back after doubling times, then is a dead letter with reason, time and consumer', async () => {
  const { db, batch } = await openBatch(3);
  expect(
    await db.query("select pgq.set_retry_policy('q', 'c', 3, '10 seconds', '25 seconds', 0) as changed"),
  ).toEqual([{ changed: 1 }]);
  expect(
    await db.query("select pgq.set_retry_policy('q', 'c', 3, '10 seconds', '25 seconds', 0) as changed"),
  ).toEqual([{ changed: 0 }]);
  let open = batch;
  for (const seconds of [10, 20, 25]) {
    const first = await fail(db, open, 2);
    expect(first.outcome).toBe('retry');
    expect(Math.round(first.seconds as number)).toBe(seconds);
    expect((await fail(db, open, 2, 'again')).outcome).toBe('retry');
    await db.query('select pgq.finish_batch($1)', [open]);
    await db.query('update pgq.retry_queue set ev_retry_after = now()');
    expect(await db.query('select pgq.maint_retry_events() as n')).toEqual([{ n: 1 }]);
    open = await next(db);
  }
  expect(await fail(db, open, 2)).toEqual({ outcome: 'dead', seconds: null });
  expect(await fail(db, open, 2, 'another reason')).toEqual({ outcome: 'dead', seconds: null });
  await db.query('select pgq.finish_batch($1)', [open]);
  expect(
    await db.query(
      `select ev_failed_reason, ev_failed_time > now() - interval '1 minute' as recent, ev_id::int, ev_retry, ev_type, ev_data
         from pgq.failed_event_list('q', 'c')`,
    ),
  ).toEqual([
    { ev_failed_reason: 'because', recent: true, ev_id: 2, ev_retry: 3, ev_type: 't2', ev_data: 'd2' },
  ]);
  expect(await db.query('select count(*)::int as n from pgq.retry_queue')).toEqual([{ n: 0 }]);
});

test('jitter shortens the time by no more than its part; without a policy the first failure is final', async () => {
  const { db, batch } = await openBatch(100);
  await db.query("select pgq.set_retry_policy('q', 'c', 1, '100 seconds', '1 hour', 0.5)");
  const [spread] = await db.query(
    `select min(s)::float8 as least, max(s)::float8 as most, count(distinct s)::int as different
       from (select extract(epoch from retry_after - now()) as s
               from pgq.event_fail_many($1, array(select generate_series(1, 99)), array_fill('r'::text, array[99]))) f`,
    [batch],
  );
  expect(spread!.least).toBeGreaterThanOrEqual(50);
  expect(spread!.most).toBeLessThanOrEqual(100);
  expect(spread!.different).toBeGreaterThan(50);
  await db.query("select pgq.set_retry_policy('q', 'c', null)");
  expect((await fail(db, batch, 100)).outcome).toBe('dead');
  await expect(fail(db, batch, 101)).rejects.toThrow('event not found');
  await expect(fail(db, '4711', 1)).rejects.toThrow('batch not found');
  await expect(db.query("select pgq.set_retry_policy('q', 'x', 1)")).rejects.toThrow(
    'no such queue/consumer',
  );
  await expect(db.query("select pgq.set_retry_policy('q', 'c', -1)")).rejects.toThrow('not a retry policy');
});

test('the functions of PgQ 2.x fail, list, count, replay and delete', async () => {
  const { db, batch } = await openBatch(4);
  const one = async (text: string) => Object.values((await db.query(text))[0]!)[0];
  expect(await one(`select pgq.event_failed(${batch}, 1, 'r')`)).toBe(1);
  expect(await one(`select pgq.event_failed(${batch}, 1, 'r')`)).toBe(0);
  await expect(db.query(`select pgq.event_failed(${batch}, 9, 'r')`)).rejects.toThrow('event not found');
  await expect(db.query("select pgq.event_failed(4711, 9, 'r')")).rejects.toThrow('event not found');
  for (const id of [2, 3]) await db.query(`select pgq.event_failed(${batch}, ${id}, 'r')`);
  await db.query(`select pgq.finish_batch(${batch})`);
  expect(await one("select pgq.failed_event_count('q', 'c')")).toBe(3);
  expect(await db.query("select ev_id::int, ev_retry from pgq.failed_event_list('q', 'c', 1, 1)")).toEqual([
    { ev_id: 2, ev_retry: 0 },
  ]);
  expect(await one("select pgq.failed_event_delete('q', 'c', 1)")).toBe(1);
  await expect(db.query("select pgq.failed_event_delete('q', 'c', 1)")).rejects.toThrow('event not found');
  await expect(db.query("select pgq.failed_event_retry('q', 'c', 1)")).rejects.toThrow('event not found');
  await expect(db.query("select pgq.failed_event_list('q', 'x')")).rejects.toThrow('no such queue/consumer');

  await db.query("select pgq.register_consumer('q', 'other')");
  expect(await one("select pgq.failed_event_retry('q', 'c', 2)")).toBe('2');
  const again = await next(db);
  expect(await db.query('select ev_id::int, ev_type from pgq.get_batch_events($1)', [again])).toEqual([
    { ev_id: 2, ev_type: 't2' },
  ]);
  await db.query("select pgq.next_batch('q', 'other')");
  expect(
    await db.query(
      'select count(e.*)::int as n from pgq.subscription, pgq.get_batch_events(sub_batch) e where sub_id = 2',
    ),
  ).toEqual([{ n: 0 }]);

  await db.query("select pgq.set_retry_policy('q', 'c', 1)");
  await db.query("select pgq.unregister_consumer('q', 'c')");
  expect(
    await db.query(
      'select (select count(*) from pgq.failed_queue)::int as d, (select count(*) from pgq.retry_policy)::int as p',
    ),
  ).toEqual([{ d: 0, p: 0 }]);
});

test('of two who replay a dead letter at the same time one does', async () => {
  const { db, batch } = await openBatch(1);
  await db.query(`select pgq.event_failed(${batch}, 1, 'r'), pgq.finish_batch(${batch})`);
  const clients = await Promise.all([db.connect(), db.connect()]);
  const results = await Promise.allSettled(
    clients.map((client) => client.query("select pgq.failed_event_retry('q', 'c', 1)")),
  );
  expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(await db.query('select count(*)::int as n from pgq.event_1 where ev_owner = 1')).toEqual([{ n: 1 }]);
});

test('consumers fail and replay, producers insert, and nobody else does either or reads the tables', async () => {
  const db = await testDatabase();
  const granted = await db.query(
    `select p.proname as name, array_agg(distinct r.name) filter (
              where has_function_privilege(case r.name when 'public' then 'pg_monitor' else r.name end, p.oid, 'execute')) as roles
       from pg_proc p, unnest('{pgq_reader,pgq_writer,public}'::text[]) r (name)
      where p.pronamespace = 'pgq'::regnamespace
        and p.proname ~ '^(event_fail|failed_event|set_retry_policy|insert_event(s|_at|_once)$|maint_(delayed|event_keys)|_subscription_of)'
      group by 1`,
  );
  expect(Object.fromEntries(granted.map(({ name, roles }) => [name, roles]))).toEqual({
    _subscription_of: null,
    event_fail: ['pgq_reader'],
    event_fail_many: ['pgq_reader'],
    event_failed: ['pgq_reader'],
    failed_event_count: ['pgq_reader'],
    failed_event_delete: ['pgq_reader'],
    failed_event_list: ['pgq_reader'],
    failed_event_retry: ['pgq_reader'],
    insert_event_at: ['pgq_writer'],
    insert_event_once: ['pgq_writer'],
    insert_events: ['pgq_writer'],
    maint_delayed_events: null,
    maint_event_keys: null,
    set_retry_policy: ['pgq_reader'],
  });
  expect(
    await db.query(
      `select t from unnest('{failed_queue,delayed_event,event_key}'::text[]) t
        where has_table_privilege('pgq_writer', 'pgq.' || t, 'select, insert, update, delete')`,
    ),
  ).toEqual([]);
});

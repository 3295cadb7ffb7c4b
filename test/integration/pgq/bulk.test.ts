import { expect, test } from 'vitest';
import { testDatabase } from '../../support/postgres.ts';

test('insert_events writes what as many calls of insert_event would have written, in the order of its arrays', async () => {
  const db = await testDatabase();
  await db.query("select pgq.create_queue('one'), pgq.create_queue('bulk')");
  await db.query(`
    begin;
    select pgq.insert_event('one', 'a', '1', null, 'x', null, null);
    select pgq.insert_event('one', null, '2', null, null, null, null);
    select pgq.insert_event('one', 'c', null, null, 'z', null, null);
    select pgq.insert_events('bulk', array['a', null, 'c'], array['1', '2', null], null, array['x', null, 'z']);
    commit`);
  const columns =
    'ev_id, ev_time, ev_txid, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4';
  const written = await db.query(`select ${columns} from pgq.event_2 order by ev_id`);
  expect(written).toHaveLength(3);
  expect(written).toEqual(await db.query(`select ${columns} from pgq.event_1 order by ev_id`));
  expect(await db.query("select pgq.insert_events('bulk', '{}', '{}')::int as n")).toEqual([{ n: 0 }]);
  expect(
    await db.query(
      `select pgq.insert_events('bulk', array_agg(text 't'), array_agg(i::text))::int as n from generate_series(1, 5000) i`,
    ),
  ).toEqual([{ n: 5000 }]);
  expect(
    await db.query(
      `select count(*)::int as n, bool_and(ev_data::int = ev_id - 3) as ordered from pgq.event_2 where ev_type = 't'`,
    ),
  ).toEqual([{ n: 5000, ordered: true }]);
});

test('insert_events refuses what insert_event refuses, whole', async () => {
  const db = await testDatabase();
  await db.query("select pgq.create_queue('q')");
  const refused = (call: string, message: string) => expect(db.query(call), call).rejects.toThrow(message);
  await refused("select pgq.insert_events('none', '{a}', '{b}')", 'No such queue');
  await refused("select pgq.insert_events(null, '{a}', '{b}')", 'Queue name must not be NULL');
  await refused("select pgq.insert_events('q', null, '{b}')", 'types must not be NULL');
  await refused("select pgq.insert_events('q', '{a}', null)", 'datas must not be NULL');
  await refused("select pgq.insert_events('q', '{a,b}', '{c}')", 'the arrays differ in length');
  await refused(
    "select pgq.insert_events('q', '{a}', '{b}', extra3s => '{}')",
    'the arrays differ in length',
  );

  await db.query('update pgq.queue set queue_per_tx_limit = 3');
  await db.query("select pgq.insert_events('q', '{a,b,c}', '{1,2,3}')");
  await refused(
    "select pgq.insert_events('q', '{a,b,c,d}', '{1,2,3,4}')",
    "Queue 'q' allows max 3 events from one TX",
  );
  await refused(
    "begin; select pgq.insert_events('q', '{a,b}', '{1,2}'); select pgq.insert_event('q', 'a', '3'); select pgq.insert_event('q', 'a', '4'); commit",
    "Queue 'q' allows max 3 events from one TX",
  );
  await db.query('update pgq.queue set queue_per_tx_limit = null, queue_disable_insert = true');
  await refused("select pgq.insert_events('q', '{a}', '{b}')", 'Insert into queue disallowed');
  expect(await db.query('select count(*)::int as n from pgq.event_1')).toEqual([{ n: 3 }]);
});

test('insert_events of a transaction whose snapshot is older than a rotation is not lost but refused', async () => {
  const db = await testDatabase();
  await db.query("select pgq.create_queue('q'), pgq.set_queue_config('q', 'rotation_period', '0')");
  const producer = await db.connect();
  await producer.query('begin isolation level repeatable read; select 1 from pgq.queue');
  // an autovacuum of the table puts the rotation off, and so does a transaction of any other test on this server
  await expect
    .poll(
      async () => {
        await db.query("select pgq.maint_rotate_tables_step1('q')");
        return db.query('select queue_cur_table from pgq.queue');
      },
      { timeout: 50_000 },
    )
    .toEqual([{ queue_cur_table: 1 }]);
  await db.query('select pgq.maint_rotate_tables_step2()');
  await expect(producer.query("select pgq.insert_events('q', '{a}', '{b}')")).rejects.toMatchObject({
    code: '40001',
  });
  await producer.query('rollback');
});

import { expect, test } from 'vitest';
import { Producer } from '../../../lib/pgq/index.ts';
import { testDatabase } from '../../support/postgres.ts';
import { ourClient } from '../pgq-ts/support.ts';

test('a key brings one event within its window, and the id of the first to everybody', async () => {
  const db = await testDatabase();
  const client = await ourClient(db.url);
  await db.query("select pgq.create_queue('q'), pgq.create_queue('other')");
  const producer = new Producer('q');
  const first = await producer.insertOnce(client, 'order 7', 60, { type: 'paid', data: '1', extra1: 'x' });
  expect(await producer.insertOnce(client, 'order 7', 60, { type: 'paid', data: '2' })).toBe(first);
  expect(await producer.insertOnce(client, 'order 8', 60, { type: 'paid', data: '3' })).not.toBe(first);
  await new Producer('other').insertOnce(client, 'order 7', 60, { type: 'paid', data: '4' });
  expect(await db.query('select ev_data, ev_extra1 from pgq.event_1 order by ev_id')).toEqual([
    { ev_data: '1', ev_extra1: 'x' },
    { ev_data: '3', ev_extra1: null },
  ]);
  expect(await db.query('select ev_data from pgq.event_2')).toEqual([{ ev_data: '4' }]);

  await db.query("update pgq.event_key set key_until = now() where key_name = 'order 7'");
  const second = await producer.insertOnce(client, 'order 7', 60, { type: 'paid', data: '5' });
  expect(second).toBeGreaterThan(first);
  expect(await producer.insertOnce(client, 'order 7', 60, { type: 'paid', data: '6' })).toBe(second);
});

test('of several at the same time one writes; if it rolls back, another does', async () => {
  const db = await testDatabase();
  await db.query("select pgq.create_queue('q')");
  const call = "select pgq.insert_event_once('q', 'k', '1 hour', 't', $1) as id";
  const holder = await db.connect();
  await holder.query('begin');
  await holder.query(call, ['rolled back']);
  const clients = await Promise.all(Array.from({ length: 5 }, () => db.connect()));
  const waiting = clients.map((client, n) => client.query(call, [`client ${n}`]));
  await holder.query('rollback');
  const ids = (await Promise.all(waiting)).map(({ rows }) => rows[0].id);
  expect(new Set(ids).size).toBe(1);
  expect(await db.query('select ev_id from pgq.event_1')).toEqual([{ ev_id: ids[0] }]);
});

test('keys that have run out are forgotten by maintenance, which is asked for then only', async () => {
  const db = await testDatabase();
  await db.query("select pgq.create_queue('q')");
  await db.query(
    "select pgq.insert_event_once('q', i::text, '1 hour', 't', 'd') from generate_series(1, 20) i",
  );
  expect(await db.query("select * from pgq.maint_operations() where func_name like 'pgq.maint%'")).toEqual(
    [],
  );
  await db.query('update pgq.event_key set key_until = now() where key_name::int > 5');
  expect(await db.query("select * from pgq.maint_operations() where func_name like 'pgq.maint%'")).toEqual([
    { func_name: 'pgq.maint_event_keys', func_arg: null },
  ]);
  expect(await db.query('select pgq.maint_event_keys() as n')).toEqual([{ n: 15 }]);
  expect(await db.query('select pgq.maint_event_keys() as n')).toEqual([{ n: 0 }]);
  expect(await db.query('select count(*)::int as n from pgq.event_key')).toEqual([{ n: 5 }]);
  await expect(db.query("select pgq.insert_event_once('q', null, '1 hour', 't', 'd')")).rejects.toThrow(
    'must not be NULL',
  );
  await expect(db.query("select pgq.insert_event_once('none', 'k', '1 hour', 't', 'd')")).rejects.toThrow(
    'No such queue',
  );
});

import { expect, test } from 'vitest';
import { Producer, queueDueWork } from '../../../lib/pgq/index.ts';
import { maintain } from '../../../lib/pgq/maintenance.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { testDatabase } from '../../support/postgres.ts';
import { minute, ourClient } from '../pgq-ts/support.ts';

const config = parseConfig({ databases: { db: { url: 'env:NONE' } } });

test('a delayed event is in its queue after its time, and asks for maintenance then and only then', async () => {
  const db = await testDatabase();
  const client = await ourClient(db.url);
  await db.query("select pgq.create_queue('q'), pgq.create_queue('other')");
  // a round that was just done is not due again
  await maintain(client, minute());
  const producer = new Producer('q');
  const later = await producer.insertAt(client, new Date(Date.now() + 3_600_000), {
    type: 'later',
    data: 'd',
    extra4: 'e4',
  });
  const soon = await producer.insertAt(client, new Date(Date.now() + 1_800_000), {
    type: 'soon',
    data: null,
  });
  const past = await producer.insertAt(client, new Date(Date.now() - 1_000), { type: 'past', data: 'd' });
  const written = () =>
    db.query('select ev_id::int, ev_type, ev_data, ev_extra4 from pgq.event_1 order by ev_txid, ev_id');
  expect(await written()).toEqual([{ ev_id: Number(past), ev_type: 'past', ev_data: 'd', ev_extra4: null }]);
  expect(await db.query("select * from pgq.maint_operations() where func_name like 'pgq.maint%'")).toEqual(
    [],
  );
  expect((await queueDueWork(client, config, 'db')).jobs).toEqual([]);

  await db.query('update pgq.delayed_event set ev_not_before = now() where ev_type = $1', ['soon']);
  expect(await db.query("select * from pgq.maint_operations() where func_name like 'pgq.maint%'")).toEqual([
    { func_name: 'pgq.maint_delayed_events', func_arg: null },
  ]);
  const due = await queueDueWork(client, config, 'db');
  expect(due.jobs).toEqual([{ v: 1, kind: 'maintain', database: 'db' }]);
  expect(due.idleSeconds).toBe(0);
  await maintain(client, minute());
  expect((await written()).slice(1)).toEqual([
    { ev_id: Number(soon), ev_type: 'soon', ev_data: null, ev_extra4: null },
  ]);
  await db.query('update pgq.delayed_event set ev_not_before = now()');
  await maintain(client, minute());
  expect((await written()).slice(2)).toEqual([
    { ev_id: Number(later), ev_type: 'later', ev_data: 'd', ev_extra4: 'e4' },
  ]);
  expect(await db.query("select * from pgq.maint_operations() where func_name like 'pgq.maint%'")).toEqual(
    [],
  );
  expect(
    await db.query("select bool_and(ev_time > now() - interval '1 minute') as fresh from pgq.event_1"),
  ).toEqual([{ fresh: true }]);
});

test('delayed events obey the settings of their queue, and go with it', async () => {
  const db = await testDatabase();
  await db.query("select pgq.create_queue('q'), pgq.create_queue('shut')");
  await db.query(
    "select pgq.insert_event_at(q, now() + interval '1 hour', 't', 'd') from unnest('{q,q,q,shut}'::text[]) q",
  );
  await db.query("update pgq.queue set queue_disable_insert = queue_name = 'shut', queue_per_tx_limit = 2");
  await expect(
    db.query("select pgq.insert_event_at('shut', now() + interval '1 hour', 't', 'd')"),
  ).rejects.toThrow('Insert into queue disallowed');
  await expect(
    db.query(
      "select pgq.insert_event_at('q', now() + interval '1 hour', 't', 'd') from generate_series(1, 3)",
    ),
  ).rejects.toThrow('allows max 2 events');
  await expect(
    db.query("select pgq.insert_event_at('none', now() + interval '1 hour', 't', 'd')"),
  ).rejects.toThrow('No such queue');
  await db.query('update pgq.delayed_event set ev_not_before = now()');
  const moved = async () => (await db.query('select pgq.maint_delayed_events() as n'))[0]!.n;
  expect([await moved(), await moved(), await moved()]).toEqual([2, 1, 0]);
  await db.query("select pgq.drop_queue('shut')");
  expect(await db.query('select * from pgq.delayed_event')).toEqual([]);
});

test('two movers at once move each event once', async () => {
  const db = await testDatabase();
  await db.query("select pgq.create_queue('q')");
  await db.query(
    "select pgq.insert_event_at('q', now() + interval '1 hour', 't', i::text) from generate_series(1, 3000) i",
  );
  await db.query('update pgq.delayed_event set ev_not_before = now()');
  const moved = await Promise.all(
    [1, 2].map(async () => {
      let total = 0;
      for (;;) {
        const [row] = await db.query<{ n: number }>('select pgq.maint_delayed_events() as n');
        total += row!.n;
        if (row!.n === 0) return total;
      }
    }),
  );
  expect(moved[0]! + moved[1]!).toBe(3000);
  expect(
    await db.query('select count(*)::int as n, count(distinct ev_data)::int as d from pgq.event_1'),
  ).toEqual([{ n: 3000, d: 3000 }]);
});

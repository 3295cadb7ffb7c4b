import { expect, it } from 'vitest';
import { applyRows } from '../../../lib/pgq/consumers/apply-rows.ts';
import { queueMover } from '../../../lib/pgq/consumers/queue-mover.ts';
import { consumeRemoteBatch, createQueue, forceTick, registerConsumer } from '../../../lib/pgq/index.ts';
import { testDatabase } from '../../support/postgres.ts';
import { fill, minute, ourClient } from './support.ts';

const spec = { queue: 'q', consumer: 'c' };

async function twoDatabases() {
  const sourceDb = await testDatabase();
  const targetDb = await testDatabase();
  const source = await ourClient(sourceDb.url);
  const target = await ourClient(targetDb.url);
  await createQueue(source, 'q');
  await registerConsumer(source, 'q', 'c');
  return { sourceDb, targetDb, source, target };
}

it('the queue mover moves events whole and in order, by COPY or through insert_event', async () => {
  const { sourceDb, targetDb, source, target } = await twoDatabases();
  await createQueue(target, 'far');
  await sourceDb.query(`select pgq.insert_event('q', 'odd', E'a\\tb\\\\c\\n', null, '', 'é', null)`);
  await fill(sourceDb, 300);
  const first = await consumeRemoteBatch(source, target, spec, queueMover({ queue: 'far' }), minute());
  expect(first.did?.events).toBe(301);
  await targetDb.query('update pgq.queue set queue_per_tx_limit = 100000');
  await fill(sourceDb, 20, 301);
  await consumeRemoteBatch(source, target, spec, queueMover({ queue: 'far' }), minute());
  const payload =
    'select ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3 from pgq.event_template order by ev_id';
  expect(await targetDb.query(payload)).toEqual(await sourceDb.query(payload));
});

const TABLE = `create table t (
  id int, lang text, v text, n numeric(10,2), a int[], j jsonb, b bytea, at timestamptz, flag boolean,
  g text generated always as (v || '!') stored, primary key (lang, id))`;

it.each(['logutriga', 'jsontriga', 'sqltriga'])('rows captured by %s arrive as they are', async (trigger) => {
  const { sourceDb, targetDb, source, target } = await twoDatabases();
  await sourceDb.query(TABLE);
  await targetDb.query('create schema copy');
  await targetDb.query(TABLE.replace('table t', 'table copy.t'));
  await sourceDb.query(
    `create trigger capture after insert or update or delete on t for each row execute function pgq.${trigger}('q', 'ignore=g')`,
  );
  await sourceDb.query(
    `create trigger capture_truncate after truncate on t for each statement execute function pgq.${trigger}('q')`,
  );
  const handler = applyRows({ tables: { 'public.t': 'copy.t' } });
  const rows = (table: string) => `select * from ${table} order by lang, id`;
  const replay = async () => {
    await forceTick(source, 'q', minute());
    await consumeRemoteBatch(source, target, spec, handler, minute());
    expect(await targetDb.query(rows('copy.t'))).toEqual(await sourceDb.query(rows('t')));
  };
  await sourceDb.query(`insert into t
    select i, 'de', 'wert ' || i, i * 1.25, array[i, null, 3], jsonb_build_object('k', 'ü"' || i), decode('00ff5c', 'hex'),
           '2026-11-22 10:00:00.123456+02'::timestamptz + i * interval '1 day', i % 2 = 0
      from generate_series(1, 500) i`);
  await sourceDb.query(`insert into t (id, lang) values (-1, E'o''dd, "\\\\x&=+%')`);
  await replay();
  await sourceDb.query(`update t set v = 'changed', a = null where id % 3 = 0`);
  await sourceDb.query(`update t set n = n + 1, j = '{}' where id % 5 = 0`);
  await sourceDb.query(`delete from t where id % 7 = 0`);
  await sourceDb.query(`insert into t (id, lang, v) values (7, 'de', 'back again')`);
  await sourceDb.query(`insert into t (id, lang, v) values (1000, 'de', 'short life')`);
  await sourceDb.query(`delete from t where id = 1000`);
  await replay();
  await sourceDb.query('truncate t');
  await sourceDb.query(`insert into t (id, lang, v) values (1, 'fr', 'après')`);
  await replay();
});

it('the row applier keeps to the order of changes where constraints ask for it', async () => {
  const { sourceDb, targetDb, source, target } = await twoDatabases();
  const tables = `create table parent (id int primary key, code text unique);
    create table child (id int primary key, parent int references parent)`;
  await sourceDb.query(tables);
  await targetDb.query(tables);
  for (const table of ['parent', 'child'])
    await sourceDb.query(
      `create trigger c after insert or update or delete on ${table} for each row execute function pgq.logutriga('q')`,
    );
  await sourceDb.query(
    `insert into parent values (1, 'a'), (2, 'b'); insert into child values (1, 1), (2, 2)`,
  );
  await forceTick(source, 'q', minute());
  await consumeRemoteBatch(source, target, spec, applyRows(), minute());
  await sourceDb.query(
    `insert into parent values (3, 'c'); update child set parent = 3 where id = 1; delete from parent where id = 1`,
  );
  await sourceDb.query(
    `delete from child where id = 2; delete from parent where id = 2; insert into parent values (4, 'b')`,
  );
  await forceTick(source, 'q', minute());
  await consumeRemoteBatch(source, target, spec, applyRows(), minute());
  for (const table of ['parent', 'child'])
    expect(await targetDb.query(`select * from ${table} order by id`)).toEqual(
      await sourceDb.query(`select * from ${table} order by id`),
    );
});

it('the row applier stops loudly at a table or column that the target lacks', async () => {
  const { sourceDb, targetDb, source, target } = await twoDatabases();
  await sourceDb.query('create table t (id int primary key, extra text)');
  await sourceDb.query(`create trigger c after insert on t for each row execute function pgq.logutriga('q')`);
  await sourceDb.query(`insert into t values (1, 'x')`);
  await forceTick(source, 'q', minute());
  const apply = () => consumeRemoteBatch(source, target, spec, applyRows(), minute());
  await expect(apply()).rejects.toMatchObject({
    code: 'APPLY_TABLE_MISSING',
    subject: { table: 'public.t' },
  });
  await targetDb.query('create table t (id int primary key)');
  await expect(apply()).rejects.toMatchObject({ code: 'APPLY_COLUMN_MISSING', subject: { column: 'extra' } });
  await targetDb.query('alter table t add column extra text');
  expect((await apply()).did?.events).toBe(1);
});

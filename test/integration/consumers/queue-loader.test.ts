import { expect, it } from 'vitest';
import type { TestDatabase } from '../../support/postgres.ts';
import { type ConsumerStack, consumerStack, emulatedServices, killAtRow } from './stack.ts';

emulatedServices();

/** Captures table `item` of the source. */
async function capture(stack: ConsumerStack): Promise<void> {
  await stack.source.query(`create table item (id int primary key, name text, at timestamptz);
    create trigger capture after insert or update or delete on item
      for each row execute function pgq.logutriga('q')`);
}

const partitionsOf = async (database: TestDatabase, parent: string) =>
  (
    await database.query<{ name: string }>(
      'select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1',
      [parent],
    )
  ).map(({ name }) => name);

const rows = (database: TestDatabase, from: string) =>
  database.query(`select id, name from ${from} order by id, name`);

const loader =
  (table: Record<string, unknown>) =>
  ({ target }: { target: string }) => ({ kind: 'queue-loader', target, tables: { 'public.item': table } });

it('plain: inserts, updates and deletes as they happened, also of a row that came and went', async () => {
  const stack = await consumerStack(loader({ into: 'public.copy' }));
  await capture(stack);
  await stack.target.query('create table copy (id int primary key, name text, at timestamptz)');
  await stack.source.query(`insert into item values (1, 'a'), (2, 'b'), (3, 'c');
    update item set name = 'B' where id = 2; delete from item where id = 3`);
  await stack.tick();
  expect(await stack.consume()).toBe(true);
  expect(await rows(stack.target, 'copy')).toEqual([
    { id: 1, name: 'a' },
    { id: 2, name: 'B' },
  ]);
});

it('keep_latest keeps the last image of a deleted row; keep_all keeps every image', async () => {
  const stack = await consumerStack(({ target }) => ({
    kind: 'queue-loader',
    target,
    tables: {
      'public.item': { into: 'latest', rowMode: 'keep_latest' },
      '*': { into: 'history', rowMode: 'keep_all', fields: { id: 'id', name: 'name', 'pgq.ev_id': 'event' } },
    },
  }));
  await capture(stack);
  await stack.source.query(`create table other (id int primary key, name text);
    create trigger capture after insert or update or delete on other for each row execute function pgq.logutriga('q')`);
  await stack.target.query(`create table latest (id int primary key, name text, at timestamptz);
    create table history (id int, name text, event bigint unique)`);
  for (const table of ['item', 'other'])
    await stack.source.query(
      `insert into ${table} values (1, 'a'); update ${table} set name = 'b'; delete from ${table}`,
    );
  await stack.tick();
  expect(await stack.consume()).toBe(true);
  expect(await rows(stack.target, 'latest')).toEqual([{ id: 1, name: 'b' }]);
  expect(await rows(stack.target, 'history')).toEqual([
    { id: 1, name: 'a' },
    { id: 1, name: 'b' },
  ]);
});

it('tables that are not named are passed over', async () => {
  const stack = await consumerStack(({ target }) => ({
    kind: 'queue-loader',
    target,
    tables: { 'public.nothing': {} },
  }));
  await capture(stack);
  await stack.source.query(`insert into item values (1, 'a')`);
  await stack.tick();
  expect(await stack.consume()).toBe(true);
});

const PARENTS = {
  native: `create table log (id int, name text, at timestamptz not null, primary key (id, at)) partition by range (at)`,
  inherited: `create table log (id int primary key, name text, at timestamptz not null)`,
};

it.each(Object.entries(PARENTS))(
  '%s partitions are made when their first row comes',
  async (kind, parent) => {
    const stack = await consumerStack(loader({ into: 'log', partition: { field: 'at', every: 'month' } }));
    await capture(stack);
    await stack.target.query(parent);
    await stack.source.query(
      `insert into item values (1, 'a', '2026-01-31 23:59:59.9+00'), (2, 'b', '2026-02-01 00:30+01'), (3, 'c', '2026-02-01 00:00+00')`,
    );
    await stack.tick();
    expect(await stack.consume()).toBe(true);
    expect(await partitionsOf(stack.target, 'log')).toEqual(['log_2026_01', 'log_2026_02']);
    expect(await rows(stack.target, 'log_2026_01')).toHaveLength(2);
    expect(await rows(stack.target, 'log_2026_02')).toEqual([{ id: 3, name: 'c' }]);
    await stack.source.query(`update item set name = 'C' where id = 3; delete from item where id = 1`);
    await stack.tick();
    expect(await stack.consume()).toBe(true);
    expect(await rows(stack.target, 'log')).toEqual([
      { id: 2, name: 'b' },
      { id: 3, name: 'C' },
    ]);
    if (kind === 'native') {
      await stack.source.query(`update item set at = '2026-03-05' where id = 3`);
      await stack.tick();
      expect(await stack.consume()).toBe(true);
      expect(await rows(stack.target, 'log_2026_03')).toEqual([{ id: 3, name: 'C' }]);
      expect(await rows(stack.target, 'log')).toHaveLength(2);
    }
  },
);

it('keep_latest with partitions by time of the event keeps the last image of each day', async () => {
  const stack = await consumerStack(
    loader({
      into: 'cube',
      rowMode: 'keep_latest',
      partition: { time: 'event', name: '{table}_{year}{month}{day}' },
    }),
  );
  await capture(stack);
  await stack.target.query('create table cube (id int primary key, name text, at timestamptz)');
  await stack.source.query(`insert into item values (1, 'a'); update item set name = 'b'`);
  await stack.source.query(`create function back() returns void language sql as
    $$ update pgq.event_template set ev_time = ev_time - interval '1 day' $$; select back()`);
  await stack.source.query(`update item set name = 'c'; update item set name = 'd'`);
  await stack.tick();
  expect(await stack.consume()).toBe(true);
  expect(await partitionsOf(stack.target, 'cube')).toHaveLength(2);
  expect(await rows(stack.target, 'cube')).toEqual([
    { id: 1, name: 'b' },
    { id: 1, name: 'd' },
  ]);
});

it('a template makes the partition where one is given', async () => {
  const stack = await consumerStack(
    loader({
      into: 'log',
      partition: {
        field: 'at',
        template:
          'create table {part} (like {parent}, made_by text default {from}); alter table {part} add primary key ({pkey})',
      },
    }),
  );
  await capture(stack);
  await stack.target.query('create table log (id int primary key, name text, at timestamptz)');
  await stack.source.query(`insert into item values (1, 'a', '2026-05-06 07:08:09+00')`);
  await stack.tick();
  expect(await stack.consume()).toBe(true);
  expect(await stack.target.query('select id, made_by from log_2026_05_06')).toEqual([
    { id: 1, made_by: '2026-05-06 00:00:00+00' },
  ]);
  expect(await rows(stack.target, 'log')).toEqual([]);
});

it('exactly once although its connection was cut in the middle: neither rows nor partitions are left over', async () => {
  const stack = await consumerStack(
    loader({ into: 'log', rowMode: 'keep_all', partition: { field: 'at', every: 'year' } }),
  );
  await capture(stack);
  await stack.target.query(
    `create table log (id int, name text, at timestamptz not null) partition by range (at);
     create table log_2026 partition of log for values from ('2026-01-01') to ('2027-01-01')`,
  );
  await killAtRow(stack.target, 'log_2026', 2);
  await stack.source.query(
    `insert into item values (1, 'a', '2025-01-01 12:00'), (2, 'b', '2026-01-01 12:00'), (3, 'c', '2026-01-01 12:00')`,
  );
  await stack.tick();
  expect(await stack.consume()).toBe(false);
  expect(await partitionsOf(stack.target, 'log')).toEqual(['log_2026']);
  await stack.catchUp();
  expect(await stack.consume()).toBe(true);
  expect(await rows(stack.target, 'log')).toHaveLength(3);
});

it('a row without a time stops the batch and says which column', async () => {
  const stack = await consumerStack(loader({ into: 'log', partition: { field: 'at' } }));
  await capture(stack);
  await stack.target.query('create table log (id int primary key, name text, at timestamptz)');
  await stack.source.query(`insert into item values (1, 'a', null)`);
  await stack.tick();
  expect(await stack.consume()).toBe(false);
  expect(await rows(stack.target, 'log')).toEqual([]);
});

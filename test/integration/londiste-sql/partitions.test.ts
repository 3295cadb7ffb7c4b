import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query(`create table ev (id int primary key, d timestamptz, v text default 'x')`);
  await database.query('create index on ev (d)');
  await database.query('grant insert on ev to public');
  await database.query(
    `create function nothing() returns trigger language plpgsql as 'begin return null; end'`,
  );
  await database.query(
    `create trigger "t ON public.ev " after insert on ev for each row execute procedure nothing()`,
  );
  await database.query(`alter table ev disable trigger "t ON public.ev "`);
  await database.query('create rule r_x as on delete to ev do also nothing');
});
afterAll(() => database.drop());

const create = async (parent: string, part: string, field: string | null, time: string, period: string) =>
  (
    await database.query<{ n: number }>(`select londiste.create_partition($1, $2, 'id', $3, $4, $5) as n`, [
      parent,
      part,
      field,
      time,
      period,
    ])
  )[0]?.n;

describe('create_partition', () => {
  test('makes a child that is like its parent and holds one period', async () => {
    expect(await create('ev', 'ev_2020_01', 'd', '2020-01-15 12:33+00', 'month')).toBe(1);
    expect(await create('public.ev', 'public.ev_2020_01', 'd', '2020-01-15 12:33+00', 'month')).toBe(0);
    await database.query(`insert into ev_2020_01 (id, d) values (1, '2020-01-31 23:00+00')`);
    await expect(
      database.query(`insert into ev_2020_01 (id, d) values (2, '2020-02-02 00:00+00')`),
    ).rejects.toThrow('check constraint');
    expect(await database.query('select id, v from ev')).toEqual([{ id: 1, v: 'x' }]);
    expect(
      await database.query(
        `select (select count(*)::int from pg_index where indrelid = 'ev_2020_01'::regclass) as indexes,
                (select array_agg(tgname || ' ' || tgenabled::text) from pg_trigger
                  where tgrelid = 'ev_2020_01'::regclass) as triggers,
                (select array_agg(rulename::text) from pg_rules where tablename = 'ev_2020_01') as rules,
                has_table_privilege('pgq_reader', 'ev_2020_01', 'insert') as granted`,
      ),
    ).toEqual([{ indexes: 2, triggers: ['t ON public.ev  D'], rules: ['r_x'], granted: true }]);
  });

  test('without a field makes no check', async () => {
    expect(await create('ev', 'ev_free', '', '2020-01-15', 'hour')).toBe(1);
    expect(await create('ev', 'ev_free_too', null, '2020-01-15', 'bad')).toBe(1);
    expect(
      await database.query(
        `select count(*)::int as n from pg_constraint
          where conrelid in ('ev_free'::regclass, 'ev_free_too'::regclass) and contype = 'c'`,
      ),
    ).toEqual([{ n: 0 }]);
  });

  test('takes odd names and types', async () => {
    await database.query('create schema "S p"; create table "S p"."E v" (id int primary key, "D f" date)');
    expect(await create('S p.E v', 'S p.E v_2020', 'D f', '2020-01-15', 'year')).toBe(1);
    await database.query(`insert into "S p"."E v_2020" values (1, '2020-12-31')`);
  });

  test('makes a partition of a partitioned table', async () => {
    await database.query('create table native (id int, d date, primary key (id, d)) partition by range (d)');
    expect(await create('native', 'native_2020_01', 'd', '2020-01-15', 'month')).toBe(1);
    await database.query(`insert into native values (1, '2020-01-31')`);
    expect(await database.query('select id from native_2020_01')).toEqual([{ id: 1 }]);
  });

  test('called twice at the same moment makes one', async () => {
    const both = await Promise.all([1, 2].map(() => create('ev', 'ev_2021', 'd', '2021-05-05', 'year')));
    expect(both.sort()).toEqual([0, 1]);
  });
});

describe('obsolete partitions', () => {
  test.each([
    ['public.x_2020_01', 'month', true],
    ['x_2020_01_02', 'day', true],
    ['x_2020_01_02_03', 'hour', true],
    ['x_y_2020', 'year', true],
    ['x_9999_01', 'month', false],
    ['x_2020_01', 'day', null],
    ['x_2020_01_02', 'month', null],
    ['x2020_01', 'month', null],
    ['public.2020_01', 'month', null],
    ['x_2020_1', 'month', null],
  ])('%s by %s is %s', async (name, period, obsolete) => {
    expect(
      await database.query(`select londiste.is_obsolete_partition($1, '1 year', $2) as obsolete`, [
        name,
        period,
      ]),
    ).toEqual([{ obsolete }]);
  });

  test('the present period is never obsolete', async () => {
    expect(
      await database.query(
        `select londiste.is_obsolete_partition('x_' || to_char(now(), 'YYYY_MM'), '0', 'month') as obsolete`,
      ),
    ).toEqual([{ obsolete: false }]);
  });

  test('are listed and dropped by parent and period', async () => {
    for (const part of ['ev_2019_01', 'ev_2019_02', 'ev_2019_01_01', 'ev_x_2019_01', 'ev_9999_01']) {
      await create('ev', part, null, '2019-01-01', 'month');
    }
    const rows = await database.query<{ part: string }>(
      `select part from londiste.list_obsolete_partitions('ev', '1 year', 'month') part`,
    );
    expect(rows.map((row) => row.part)).toEqual([
      'public.ev_2019_01',
      'public.ev_2019_02',
      'public.ev_2020_01',
    ]);
    expect(
      await database.query(
        `select part from londiste.drop_obsolete_partitions('ev', '1 year', 'month') part`,
      ),
    ).toEqual(rows);
    expect(
      await database.query(
        `select part from londiste.drop_obsolete_partitions('ev', '1 year', 'month') part`,
      ),
    ).toEqual([]);
    expect(
      await database.query(`select count(*)::int as n from pg_class where relname ~ '^ev_.*2019'`),
    ).toEqual([{ n: 6 }]);
  });

  test('without a name are an error', async () => {
    await expect(
      database.query(`select londiste.create_partition('ev', null, 'id', 'ts', now(), 'day')`),
    ).rejects.toThrow('need table and part');
  });

  test('of an unknown period are an error', async () => {
    await expect(
      database.query(`select londiste.list_obsolete_partitions('ev', '1 year', 'week')`),
    ).rejects.toThrow('not supported i_partition_period: week');
  });
});

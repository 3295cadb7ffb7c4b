import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { node } from './set.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query('create table parent (id int primary key)');
  await database.query(
    'create table child (id int primary key, p int constraint to_parent references parent)',
  );
  await node(database, 'cr', 'root');
  await node(database, 'l', 'leaf');
  await node(database, 'a_leaf', 'leaf');
  await node(database, 'part', 'leaf', 'cr');
});
afterAll(() => database.drop());

const drop = async (table: string, name: string) =>
  (await database.query<{ n: number }>('select londiste.drop_table_fkey($1, $2) as n', [table, name]))[0]?.n;
const restore = async (table: string, name: string, lazy = false) =>
  (
    await database.query<{ sql: string }>('select londiste.restore_table_fkey($1, $2, $3) as sql', [
      table,
      name,
      lazy,
    ])
  )[0]?.sql;
const names = async (call: string) =>
  (await database.query<{ fkey_name: string }>(`select fkey_name from ${call}`)).map((row) => row.fkey_name);

describe('a foreign key', () => {
  test('is found from both ends, with a definition that needs no search_path', async () => {
    const expected = [
      {
        from_table: 'public.child',
        to_table: 'public.parent',
        fkey_name: 'to_parent',
        fkey_def:
          'alter table only public.child add constraint to_parent FOREIGN KEY (p) REFERENCES public.parent(id)',
      },
    ];
    for (const end of ['child', 'public.parent']) {
      expect(await database.query('select * from londiste.find_table_fkeys($1)', [end])).toEqual(expected);
    }
  });

  test('is taken off and put back in one step', async () => {
    expect(await drop('public.child', 'to_parent')).toBe(1);
    expect(await drop('public.child', 'to_parent')).toBe(0);
    await database.query('insert into child values (1, 999)');
    expect(await names(`londiste.get_table_pending_fkeys('public.parent')`)).toEqual(['to_parent']);
    await expect(restore('public.child', 'to_parent')).rejects.toThrow('violates foreign key constraint');
    await database.query('delete from child');
    expect(await restore('public.child', 'to_parent')).toBe('');
    expect(await restore('public.child', 'to_parent')).toBe('');
    await expect(database.query('insert into child values (1, 999)')).rejects.toThrow('to_parent');
    expect(await names(`londiste.get_table_pending_fkeys('public.parent')`)).toEqual([]);
  });

  test('is put back lazily: unchecked, checked, forgotten; each step may be repeated', async () => {
    await drop('public.child', 'to_parent');
    const unchecked = await restore('public.child', 'to_parent', true);
    expect(unchecked).toBe(
      'alter table only public.child add constraint to_parent FOREIGN KEY (p) REFERENCES public.parent(id) not valid',
    );
    expect(await restore('public.child', 'to_parent', true)).toBe(unchecked);
    await database.query(String(unchecked));
    const check = await restore('public.child', 'to_parent', true);
    expect(check).toBe('alter table only public.child validate constraint to_parent');
    await database.query(String(check));
    expect(await restore('public.child', 'to_parent', true)).toBe('');
    expect(await database.query('select * from londiste.pending_fkeys')).toEqual([]);
  });

  test('that somebody put back by hand is only checked and forgotten', async () => {
    await drop('public.child', 'to_parent');
    await database.query(
      'alter table child add constraint to_parent foreign key (p) references parent not valid',
    );
    expect(await restore('public.child', 'to_parent')).toBe('');
    expect(
      await database.query(`select convalidated from pg_constraint where conname = 'to_parent'`),
    ).toEqual([{ convalidated: true }]);
  });

  test('that never was checked stays so', async () => {
    await database.query('create table loose (id int primary key, p int)');
    await database.query('insert into loose values (1, 999)');
    await database.query(
      'alter table loose add constraint unchecked foreign key (p) references parent not valid',
    );
    for (const lazy of [false, true]) {
      await drop('public.loose', 'unchecked');
      for (let sql = await restore('public.loose', 'unchecked', lazy); sql; ) {
        await database.query(sql);
        sql = await restore('public.loose', 'unchecked', lazy);
      }
    }
    expect(
      await database.query(`select convalidated from pg_constraint where conname = 'unchecked'`),
    ).toEqual([{ convalidated: false }]);
  });

  test('of a table that is gone is forgotten', async () => {
    await database.query('create table doomed (id int primary key, p int constraint d references parent)');
    await drop('public.doomed', 'd');
    await database.query('drop table doomed');
    expect(await restore('public.doomed', 'd', true)).toBe('');
    expect(await database.query('select * from londiste.pending_fkeys')).toEqual([]);
  });

  test('of odd names goes and comes', async () => {
    await database.query(`create schema "S x"; create table "S x"."T.y" (id int primary key,
                          "p q" int constraint "F k" references parent)`);
    expect(await drop('S x.T.y', 'F k')).toBe(1);
    expect(await restore('S x.T.y', 'F k')).toBe('');
    expect(await names(`londiste.find_table_fkeys('S x.T.y')`)).toEqual(['F k']);
  });

  test('of a partitioned table goes and comes with its partitions', async () => {
    await database.query(`create table parted (id int primary key, p int constraint pf references parent)
                          partition by range (id)`);
    await database.query('create table parted_0 partition of parted for values from (0) to (10)');
    expect(await names(`londiste.find_table_fkeys('public.parted_0')`)).toEqual([]);
    expect(await drop('public.parted', 'pf')).toBe(1);
    for (let sql = await restore('public.parted', 'pf', true); sql; ) {
      await database.query(sql);
      sql = await restore('public.parted', 'pf', true);
    }
    await expect(database.query('insert into parted values (1, 999)')).rejects.toThrow('pf');
  });
});

describe('whose turn it is', () => {
  const subscribe = async (
    rows: [queue: string, table: string, state: string | null, snapshot?: string][],
  ) => {
    await database.query('delete from londiste.table_info');
    for (const [queue, table, state, snapshot] of rows) {
      await database.query(
        `insert into londiste.table_info (queue_name, table_name, local, merge_state, custom_snapshot)
         values ($1, $2, true, $3, $4)`,
        [queue, table, state, snapshot ?? null],
      );
    }
  };
  const turns = async (call: string) => {
    const rows = await database.query<{ q: string }>(
      `select q from unnest(array['a_leaf', 'cr', 'l', 'part']) q, londiste.${call}(q) order by q`,
    );
    return rows.map((row) => row.q);
  };
  beforeAll(() => drop('public.child', 'to_parent'));
  afterAll(() => database.query('delete from londiste.pending_fkeys'));

  test.each<[string, [string, string, string | null, string?][], string[]]>([
    [
      'both in sync',
      [
        ['l', 'public.child', 'ok'],
        ['l', 'public.parent', 'ok'],
      ],
      ['l'],
    ],
    [
      'one not yet copied',
      [
        ['l', 'public.child', 'ok'],
        ['l', 'public.parent', null],
      ],
      [],
    ],
    [
      'a snapshot still needed',
      [
        ['l', 'public.child', 'ok'],
        ['l', 'public.parent', 'ok', '1:2:'],
      ],
      [],
    ],
    [
      'one in another queue, which is the first by name',
      [
        ['l', 'public.child', 'ok'],
        ['a_leaf', 'public.parent', 'ok'],
      ],
      ['a_leaf'],
    ],
    [
      'a part of a combined root goes first',
      [
        ['a_leaf', 'public.child', 'ok'],
        ['part', 'public.parent', 'ok'],
      ],
      ['part'],
    ],
  ])('%s', async (_, rows, queues) => {
    await subscribe(rows);
    expect(await turns('get_valid_pending_fkeys')).toEqual(queues);
    expect(await turns('get_half_pending_fkeys')).toEqual([]);
  });

  test('a key to a table that is not replicated is listed apart', async () => {
    await subscribe([['l', 'public.child', 'ok']]);
    expect(await turns('get_valid_pending_fkeys')).toEqual([]);
    expect(await turns('get_half_pending_fkeys')).toEqual(['l']);
    expect(await names('londiste.get_orphan_pending_fkeys()')).toEqual([]);
    await subscribe([]);
    expect(await names('londiste.get_orphan_pending_fkeys()')).toEqual(['to_parent']);
  });
});

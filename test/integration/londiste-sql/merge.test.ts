import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { outcome } from '../pgq-node/cascade.ts';
import { addTable, localTables, node, triggers } from './set.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await node(database, 'cr', 'root');
  await node(database, 'cb', 'branch');
  for (const part of ['p1', 'p2']) await node(database, part, 'leaf', 'cr');
  for (const part of ['b1', 'b2']) await node(database, part, 'leaf', 'cb');
  for (const table of ['m', 'named', 'solo', 'local_too']) {
    await database.query(`create table ${table} (id int primary key, v text)`);
    for (const part of ['p1', 'p2', 'b1', 'b2']) {
      await database.query('select londiste.global_add_table($1, $2)', [part, table]);
    }
  }
});
afterAll(() => database.drop());

describe('a table of several sets', () => {
  test('is known in the combined queue as soon as in one of its parts', async () => {
    expect(
      await database.query(`select table_name from londiste.get_table_list('cr') where not local order by 1`),
    ).toEqual([
      { table_name: 'public.local_too' },
      { table_name: 'public.m' },
      { table_name: 'public.named' },
      { table_name: 'public.solo' },
    ]);
  });

  test('needs a decision, and a refusal leaves nothing behind', async () => {
    expect(await addTable(database, 'p1', 'm')).toEqual([
      405,
      'Found multiple sources for table public.m, use merge-all or no-merge to continue',
    ]);
    expect(await localTables(database, 'p1')).toEqual([]);
    expect(await triggers(database, 'm')).toEqual([]);
  });

  test('is subscribed in all of them and in the combined queue with merge_all', async () => {
    expect(await addTable(database, 'p1', 'm', ['merge_all', 'skip_truncate'], 'handler=x')).toEqual([
      200,
      'Table added: public.m',
    ]);
    expect(await localTables(database, 'p1')).toEqual(['public.m - handler=x&skip_truncate=1']);
    expect(await localTables(database, 'p2')).toEqual(['public.m - handler=x&skip_truncate=1']);
    expect(await localTables(database, 'cr')).toEqual(['public.m ok handler=x&skip_truncate=1']);
    expect(await triggers(database, 'm')).toEqual([
      `_londiste_cr AFTER INSERT OR DELETE OR UPDATE pgq.logutriga('cr')`,
      `_londiste_cr_truncate AFTER TRUNCATE pgq.sqltriga('cr')`,
      `_londiste_p1 AFTER INSERT OR DELETE OR UPDATE pgq.logutriga('p1', 'deny')`,
      `_londiste_p1_truncate AFTER TRUNCATE pgq.sqltriga('p1', 'deny')`,
    ]);
    await database.query(`select londiste.local_remove_table('p1', 'm')`);
    expect(await addTable(database, 'p1', 'm', ['merge_all'])).toEqual([
      405,
      'Found local table public.m in queue p2, use remove-table first to remove all previous table subscriptions',
    ]);
  });

  test('is subscribed alone with no_merge', async () => {
    expect(await addTable(database, 'p1', 'solo', ['no_merge'])).toEqual([200, 'Table added: public.solo']);
    expect(await localTables(database, 'p2')).not.toContainEqual(expect.stringContaining('solo'));
    expect(await localTables(database, 'cr')).not.toContainEqual(expect.stringContaining('solo'));
  });

  test('is recognised by its real name', async () => {
    expect(await addTable(database, 'p1', 'named', ['no_merge'], null, 'solo')).toEqual([
      200,
      'Table added: public.named(public.solo)',
    ]);
    expect(await addTable(database, 'p2', 'solo', ['merge_all'])).toEqual([
      405,
      'Found local table public.solo in queue p1, use remove-table first to remove all previous table subscriptions',
    ]);
  });

  test('behind a combined branch needs no copy, the combined queue itself does', async () => {
    expect(await addTable(database, 'b1', 'm')).toEqual([200, 'Table added: public.m']);
    expect(await localTables(database, 'b1')).toEqual(['public.m ok -']);
    expect(await localTables(database, 'b2')).toEqual(['public.m ok -']);
    expect(await localTables(database, 'cb')).toEqual(['public.m - -']);
  });

  test('has one state and one set of attributes, also of a local root that writes it', async () => {
    await node(database, 'writer', 'root');
    await node(database, 'reader', 'leaf');
    await database.query(`select londiste.global_add_table('reader', 'local_too')`);
    await addTable(database, 'writer', 'local_too', null, 'mine=1');
    expect((await addTable(database, 'reader', 'local_too'))[0]).toBe(405);
    expect(await addTable(database, 'reader', 'local_too', ['expect_sync'], 'other=1')).toEqual([
      200,
      'Table added: public.local_too',
    ]);
    expect(await localTables(database, 'writer')).toEqual(['public.local_too ok other=1']);
  });
});

describe('copies of several sets into one table', () => {
  const states = async (one: [string, string | null], two: [string, string | null]) => {
    for (const [queue, [state, ddl]] of [
      ['p1', one],
      ['p2', two],
    ] as const) {
      await database.query(
        `update londiste.table_info set local = true, merge_state = $2, dropped_ddl = $3
          where queue_name = $1 and table_name = 'public.m'`,
        [queue, state, ddl],
      );
    }
    const rows = await database.query<{ line: string }>(
      `select concat_ws(' ', q, coalesce(l.copy_role, '-'), l.copy_pos) as line
         from unnest(array['p1', 'p2']) q, londiste.get_table_list(q) l where l.table_name = 'public.m'`,
    );
    return rows.map((row) => row.line);
  };

  test.each<[string, [string, string | null], [string, string | null], string[]]>([
    ['both begin', ['in-copy', null], ['in-copy', null], ['p1 lead 0', 'p2 wait-copy 1']],
    ['the first leads', ['in-copy', 'ddl'], ['in-copy', null], ['p1 lead 0', 'p2 wait-replay 1']],
    ['the second leads', ['in-copy', null], ['in-copy', 'ddl'], ['p1 wait-replay 0', 'p2 lead 0']],
    [
      'the leader has copied',
      ['catching-up', 'ddl'],
      ['in-copy', null],
      ['p1 wait-replay 0', 'p2 wait-replay 0'],
    ],
    ['all have copied', ['catching-up', 'ddl'], ['catching-up', null], ['p1 - 0', 'p2 wait-replay 0']],
    ['one comes late', ['catching-up', null], ['in-copy', null], ['p1 - 0', 'p2 wait-replay 0']],
    ['the other is done', ['ok', null], ['in-copy', null], ['p1 - 0', 'p2 - 0']],
  ])('%s: the roles are dealt', async (_, one, two, roles) => {
    expect(await states(one, two)).toEqual(roles);
  });

  test('of an unknown table have no role', async () => {
    expect(await database.query(`select * from londiste._coordinate_copy('p1', 'public.zz')`)).toEqual([
      { copy_role: null, copy_pos: null },
    ]);
  });
});

test('a missing key is forgiven while a sibling holds it', async () => {
  await database.query('create table keyless (id int)');
  for (const part of ['p1', 'p2']) {
    await database.query(`select londiste.global_add_table($1, 'keyless')`, [part]);
  }
  expect((await addTable(database, 'p1', 'keyless', ['no_merge']))[0]).toBe(400);
  await database.query(
    `update londiste.table_info set local = true, merge_state = 'in-copy', dropped_ddl = 'alter table ...'
      where queue_name = 'p2' and table_name = 'public.keyless'`,
  );
  expect(await addTable(database, 'p1', 'keyless', ['no_merge'])).toEqual([
    200,
    'Table added: public.keyless',
  ]);
  expect(await outcome(database, `londiste.local_remove_table('p1', 'keyless')`)).toEqual([
    200,
    'Table removed: public.keyless',
  ]);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { outcome } from '../pgq-node/cascade.ts';
import { addTable, events, localTables, node, triggers } from './set.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query(`create schema "Od d"`);
  await database.query(`create table "Od d"."T.a'b" (id int primary key, "x y" text)`);
  await database.query('create table plain (id int primary key, v text)');
  await database.query('create table keyless (id int)');
  await node(database, 'root', 'root');
  await node(database, 'branch', 'branch');
  await node(database, 'leaf', 'leaf');
});
afterAll(() => database.drop());

const tableList = (queue: string) => database.query('select * from londiste.get_table_list($1)', [queue]);

describe('names', () => {
  test.each([
    ['a', 'public.a', 'public.a'],
    ['a.b', 'a.b', 'a.b'],
    ['a.B.c', 'a.B.c', 'a."B.c"'],
    ['select.Ta ble', 'select.Ta ble', '"select"."Ta ble"'],
  ])('%s is completed and quoted', async (name, complete, quoted) => {
    expect(
      await database.query(
        'select londiste.make_fqname($1) as complete, londiste.quote_fqname($1) as quoted',
        [name],
      ),
    ).toEqual([{ complete, quoted }]);
  });

  test('are split at the first dot', async () => {
    expect(
      await database.query(`select * from londiste.split_fqname('a.b.c') union all
                            select * from londiste.split_fqname('a')`),
    ).toEqual([
      { schema_part: 'a', name_part: 'b.c' },
      { schema_part: 'public', name_part: 'a' },
    ]);
  });

  test('find tables, sequences and key columns', async () => {
    await database.query('create table shapes (a int, b int, c int, primary key (b) include (c))');
    await database.query('create sequence counter');
    expect(
      await database.query(
        `select londiste.find_table_oid('shapes')::regclass::text as shapes,
                londiste.find_table_oid('Od d.T.a''b')::regclass::text as odd,
                londiste.find_seq_oid('counter')::regclass::text as counter,
                londiste.find_table_oid('counter') as not_a_table,
                londiste.find_rel_oid('public.shapes', 'S') as not_a_sequence,
                londiste.find_column_types('shapes') as included,
                londiste.find_column_types('keyless') as keyless,
                londiste.find_column_types('nowhere') as nowhere`,
      ),
    ).toEqual([
      {
        shapes: 'shapes',
        odd: `"Od d"."T.a'b"`,
        counter: 'counter',
        not_a_table: null,
        not_a_sequence: null,
        included: 'vkv',
        keyless: 'v',
        nowhere: '',
      },
    ]);
  });
});

describe('on a root', () => {
  test('a table joins the set, is announced and leaves it again', async () => {
    expect(await addTable(database, 'root', 'plain')).toEqual([200, 'Table added: public.plain']);
    expect(await addTable(database, 'root', 'plain')).toEqual([200, 'Table already added: public.plain']);
    expect(await addTable(database, 'root', 'plain', null, 'a=b')).toEqual([
      410,
      'Table public.plain already added, but with different args: ',
    ]);
    expect(await tableList('root')).toEqual([
      {
        table_name: 'public.plain',
        local: true,
        merge_state: 'ok',
        custom_snapshot: null,
        table_attrs: null,
        dropped_ddl: null,
        copy_role: null,
        copy_pos: 0,
        dest_table: null,
      },
    ]);
    expect(await triggers(database, 'plain')).toEqual([
      `_londiste_root AFTER INSERT OR DELETE OR UPDATE pgq.logutriga('root')`,
      `_londiste_root_truncate AFTER TRUNCATE pgq.sqltriga('root')`,
    ]);
    await database.query(`insert into plain values (1, 'x')`);
    expect(await outcome(database, `londiste.local_remove_table('root', 'plain')`)).toEqual([
      200,
      'Table removed: public.plain',
    ]);
    expect(await triggers(database, 'plain')).toEqual([]);
    expect(await tableList('root')).toEqual([]);
    expect(await events(database, 'root')).toEqual([
      'londiste.add-table | public.plain',
      'I:id | id=1&v=x | public.plain',
      'londiste.remove-table | public.plain',
    ]);
  });

  test('odd names go through every step', async () => {
    await node(database, `q 'x" y`, 'root');
    const table = `Od d.T.a'b`;
    expect(await addTable(database, `q 'x" y`, table)).toEqual([200, `Table added: ${table}`]);
    await database.query(`insert into "Od d"."T.a'b" values (1, 'it''s')`);
    expect(await events(database, `q 'x" y`)).toEqual([
      `londiste.add-table | ${table}`,
      `I:id | id=1&x+y=it%27s | ${table}`,
    ]);
    expect(await outcome(database, 'londiste.local_remove_table($1, $2)', [`q 'x" y`, table])).toEqual([
      200,
      `Table removed: ${table}`,
    ]);
    expect(await triggers(database, `"Od d"."T.a'b"`)).toEqual([]);
  });

  test('what is missing, without what is there already', async () => {
    const missing = async () =>
      (
        await database.query<{ line: string }>(
          `select obj_kind || ' ' || obj_name as line from londiste.local_show_missing('gaps')`,
        )
      ).map((row) => row.line);
    await node(database, 'gaps', 'root');
    await database.query('create table gap (id serial primary key)');
    await database.query('create table gap_parted (id int primary key) partition by range (id)');
    await database.query('create table gap_part partition of gap_parted for values from (0) to (9)');
    const all = await missing();
    expect(all).toEqual(
      expect.arrayContaining(['S public.gap_id_seq', 'r public.gap', 'r public.gap_parted']),
    );
    expect(all).not.toContain('r public.gap_part');
    await addTable(database, 'gaps', 'gap');
    await database.query(`select londiste.local_add_seq('gaps', 'gap_id_seq')`);
    const rest = await missing();
    expect(rest).not.toContain('S public.gap_id_seq');
    expect(rest).not.toContain('r public.gap');
    await expect(database.query(`select * from londiste.local_show_missing('nothing')`)).rejects.toThrow(
      'queue does not exist: nothing',
    );
  });

  test.each([
    ['keyless', null, 400, 'Primary key missing on table: public.keyless'],
    ['nowhere', null, 404, 'Table does not exist: public.nowhere'],
    ['plain', ['merge_all', 'no_merge'], 405, 'Cannot use merge-all and no-merge together'],
  ])('%s %s is refused', async (table, args, code, note) => {
    expect(await addTable(database, 'root', table, args)).toEqual([code, note]);
    expect(await localTables(database, 'root')).toEqual([]);
  });

  test('a set that does not exist is refused', async () => {
    expect(await addTable(database, 'nothing', 'plain')).toEqual([400, 'No such set: nothing']);
  });

  test('a refusal shows the name in the queue and the real one', async () => {
    const add = (set: string, real: string) => addTable(database, set, 'renamed', null, null, real);
    expect(await add('root', 'nowhere')).toEqual([
      404,
      'Table does not exist: public.renamed(public.nowhere)',
    ]);
    expect(await add('root', 'keyless')).toEqual([
      400,
      'Primary key missing on table: public.renamed(public.keyless)',
    ]);
    expect(await add('leaf', 'plain')).toEqual([
      404,
      'Table not available on queue: public.renamed(public.plain)',
    ]);
  });

  test('another trigger that fires first is pointed out', async () => {
    await database.query('create table watched (id int primary key)');
    await database.query(
      `create function audit() returns trigger language plpgsql as 'begin return null; end'`,
    );
    await database.query('create trigger "A" after insert on watched for each row execute procedure audit()');
    expect(await addTable(database, 'root', 'watched')).toEqual([
      301,
      'Table added: public.watched, but its trigger is not the first: A',
    ]);
    await database.query(`select londiste.local_remove_table('root', 'watched')`);
  });
});

describe('on other nodes', () => {
  test('a table must be in the set, and starts without a state', async () => {
    expect(await addTable(database, 'leaf', 'plain')).toEqual([
      404,
      'Table not available on queue: public.plain',
    ]);
    const add = (queue: string) => outcome(database, `londiste.global_add_table($1, 'plain')`, [queue]);
    expect(await add('leaf')).toEqual([200, 'Table added: plain']);
    expect(await add('leaf')).toEqual([200, 'Table already added: public.plain']);
    expect(await add('nothing')).toEqual([400, 'No such queue: nothing']);
    expect(await database.query(`select * from londiste.local_show_missing('leaf')`)).toEqual([
      { obj_kind: 'r', obj_name: 'public.plain' },
    ]);
    expect(await addTable(database, 'leaf', 'plain', null, 'handler=x')).toEqual([
      200,
      'Table added: public.plain',
    ]);
    expect(await localTables(database, 'leaf')).toEqual(['public.plain - handler=x']);
    await expect(database.query(`insert into plain values (7, 'y')`)).rejects.toThrow(
      "Table 'public.plain' to queue 'leaf': change not allowed (INSERT)",
    );
    await expect(database.query('truncate plain')).rejects.toThrow('change not allowed (TRUNCATE)');
  });

  test('state, attributes and structure of a table are set one by one', async () => {
    const call = (text: string) => outcome(database, `londiste.${text}`);
    expect(await call(`local_set_table_state('leaf', 'plain', '10:20:', 'in-copy')`)).toEqual([
      200,
      `Table public.plain state set to 'in-copy'`,
    ]);
    expect(
      await call(`local_set_table_struct('leaf', 'public.plain', 'create index i on plain (v)')`),
    ).toEqual([200, 'Table struct stored']);
    await expect(call(`local_set_table_state('leaf', 'plain', null, 'ok')`)).rejects.toThrow(
      'table_info_check',
    );
    expect(await call(`local_set_table_attrs('leaf', 'public.plain', 'x=y')`)).toEqual([
      200,
      'public.plain: Table attributes stored',
    ]);
    expect(await tableList('leaf')).toMatchObject([
      {
        merge_state: 'in-copy',
        custom_snapshot: '10:20:',
        dropped_ddl: 'create index i on plain (v)',
        table_attrs: 'x=y',
      },
    ]);
    await call(`local_set_table_struct('leaf', 'public.plain', null)`);
    expect(await call(`local_set_table_state('leaf', 'plain', null, null)`)).toEqual([
      200,
      'Table public.plain state set to NULL',
    ]);
    expect(await call(`local_set_table_state('leaf', 'zz', null, null)`)).toEqual([
      404,
      'No such table: public.zz',
    ]);
    expect(await call(`local_set_table_attrs('leaf', 'plain', null)`)).toEqual([
      404,
      'no such local table: plain',
    ]);
    expect(await call(`local_set_table_struct('leaf', 'plain', null)`)).toEqual([
      404,
      'no such local table: plain',
    ]);
  });

  test('a table that a copy left bare is emptied and gets its indexes back when it is removed', async () => {
    await database.query('create table bare (id int, v text)');
    await database.query(`insert into bare values (1, 'half')`);
    await database.query(`select londiste.global_add_table('branch', 'queue.name')`);
    await addTable(database, 'branch', 'queue.name', ['virtual_table'], null, 'bare');
    await database.query(`select londiste.local_set_table_state('branch', 'queue.name', null, 'in-copy')`);
    await database.query(
      `select londiste.local_set_table_struct('branch', 'queue.name', 'alter table bare add primary key (id)')`,
    );
    expect(await outcome(database, `londiste.local_remove_table('branch', 'queue.name')`)).toEqual([
      200,
      'Table removed: queue.name',
    ]);
    expect(
      await database.query(
        `select (select count(*)::int from bare) as rows, londiste.find_column_types('bare') as columns`,
      ),
    ).toEqual([{ rows: 0, columns: 'kv' }]);
  });

  test('removal ends the subscription, then the membership', async () => {
    const call = (text: string) => outcome(database, `londiste.${text}`);
    expect(await call(`local_remove_table('leaf', 'plain')`)).toEqual([200, 'Table removed: public.plain']);
    expect(await call(`local_remove_table('leaf', 'plain')`)).toEqual([
      400,
      'Table not registered locally: public.plain',
    ]);
    expect(await call(`local_remove_table('leaf', 'zz')`)).toEqual([400, 'Table not found: public.zz']);
    expect(await call(`global_remove_table('leaf', 'plain')`)).toEqual([200, 'Table removed: plain']);
    expect(await call(`global_remove_table('leaf', 'plain')`)).toEqual([
      400,
      'Table not found: public.plain',
    ]);
    expect(await triggers(database, 'plain')).toEqual([]);
  });

  test('expect_sync, skip_truncate and virtual_table choose state, attributes and triggers', async () => {
    for (const table of ['v1', 'v2']) {
      await database.query(`select londiste.global_add_table('branch', $1)`, [table]);
    }
    await database.query('create table v1 (id int primary key)');
    expect(await addTable(database, 'branch', 'v1', ['expect_sync', 'skip_truncate'], 'a=b')).toEqual([
      200,
      'Table added: public.v1',
    ]);
    expect(await addTable(database, 'branch', 'v2', ['virtual_table'])).toEqual([
      200,
      'Table added with no triggers: public.v2',
    ]);
    expect(await localTables(database, 'branch')).toEqual([
      'public.v1 ok a=b&skip_truncate=1',
      'public.v2 ok -',
    ]);
  });
});

describe('changing the handler', () => {
  test('rebuilds the triggers from the new arguments', async () => {
    await database.query('create table handled (id int primary key, v text)');
    await addTable(database, 'root', 'handled', ['tgflags=BI', 'SKIP']);
    expect(await triggers(database, 'handled')).toEqual([
      `_londiste_root_truncate AFTER TRUNCATE pgq.sqltriga('root')`,
      `zzz__londiste_root BEFORE INSERT pgq.logutriga('root', 'SKIP')`,
    ]);
    const change = (args: string[], attributes: string | null) =>
      outcome(database, `londiste.local_change_handler('root', 'public.handled', $1, $2)`, [
        args,
        attributes,
      ]);
    expect(await change(['backup'], 'handler=h')).toEqual([200, 'Handler changed for table: public.handled']);
    expect(await triggers(database, 'handled')).toEqual([
      `_londiste_root AFTER INSERT OR DELETE OR UPDATE pgq.logutriga('root', 'backup')`,
      `_londiste_root_truncate AFTER TRUNCATE pgq.sqltriga('root')`,
    ]);
    expect(await localTables(database, 'root')).toEqual(['public.handled ok handler=h']);
    expect(await change(['no_triggers'], null)).toEqual([
      200,
      'Table handler updated with no triggers: public.handled',
    ]);
    expect(await triggers(database, 'handled')).toHaveLength(2);
  });

  test('is refused for what is not subscribed, and a failure changes nothing', async () => {
    const change = (queue: string, table: string) =>
      outcome(database, `londiste.local_change_handler($1, $2, null, 'new=1')`, [queue, table]);
    expect(await change('nothing', 'public.handled')).toEqual([400, 'No such set: nothing']);
    expect(await change('root', 'handled')).toEqual([404, 'no such local table: handled']);
    await database.query(
      `create trigger foreigner before insert on handled for each row execute procedure pgq.logutriga('x', 'SKIP')`,
    );
    expect(await change('root', 'public.handled')).toEqual([
      403,
      'Trigger creation failed for table public.handled: AFTER trigger cannot work with SKIP trigger(s)',
    ]);
    expect(await localTables(database, 'root')).toEqual(['public.handled ok -']);
  });
});

test('a dropped node takes its tables and their triggers along', async () => {
  await node(database, 'leaving', 'root');
  await database.query('create table left_behind (id int primary key)');
  await addTable(database, 'leaving', 'left_behind');
  await database.query(`select londiste.local_add_seq('leaving', 'counter')`);
  await database.query(`select pgq_node.drop_node('leaving', 'n1')`);
  expect(await triggers(database, 'left_behind')).toEqual([]);
  expect(
    await database.query(
      `select count(*)::int as rows from londiste.table_info t full join londiste.seq_info s using (queue_name)
        where queue_name = 'leaving'`,
    ),
  ).toEqual([{ rows: 0 }]);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { outcome } from '../pgq-node/cascade.ts';
import { addTable, events, node, triggers } from './set.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await node(database, 'r', 'root');
  await node(database, 'l', 'leaf');
});
afterAll(() => database.drop());

const faults = async (queue: string) =>
  (
    await database.query<{ line: string }>(
      `select table_name || ': ' || fault as line from londiste.find_trigger_faults($1)`,
      [queue],
    )
  ).map((row) => row.line);
const restore = (table: string) => outcome(database, `londiste.restore_triggers('r', $1)`, [table]);

describe('a table that would lose changes', () => {
  test('is found, told why, and repaired with the arguments that it had', async () => {
    await database.query('create table t (id int primary key, v text, w text)');
    await addTable(database, 'r', 't', ['backup', 'ignore=w']);
    expect(await faults('r')).toEqual([]);
    const before = await triggers(database, 't');

    for (const [damage, fault] of [
      ['alter table t disable trigger _londiste_r', 'row trigger disabled'],
      ['alter table t enable replica trigger _londiste_r', 'row trigger disabled'],
      ['drop trigger _londiste_r on t', 'row trigger missing'],
      ['alter table t disable trigger _londiste_r_truncate', 'truncate trigger disabled'],
      ['drop trigger _londiste_r_truncate on t', 'truncate trigger missing'],
    ] as const) {
      await database.query(damage);
      expect(await faults('r')).toEqual([`public.t: ${fault}`]);
      expect(await restore('t')).toEqual([200, 'Triggers restored: public.t']);
      expect(await triggers(database, 't')).toEqual(before);
      expect(await faults('r')).toEqual([]);
    }
    await database.query(`insert into t values (1, 'x', 'y')`);
    expect((await events(database, 'r')).at(-1)).toBe('I:id | id=1&v=x | public.t');

    await database.query('alter table t drop constraint t_pkey');
    expect(await faults('r')).toEqual(['public.t: primary key missing']);
    await database.query('drop table t');
    expect(await faults('r')).toEqual(['public.t: table missing']);
    await database.query(`select londiste.local_remove_table('r', 't')`);
    expect(await faults('r')).toEqual([]);
  });

  test('is found when a second name has taken its trigger', async () => {
    await database.query('create table shared (id int primary key)');
    await addTable(database, 'r', 'one', null, null, 'shared');
    await addTable(database, 'r', 'two', null, null, 'shared');
    expect(await faults('r')).toEqual(['public.one: row trigger writes another name']);
    for (const name of ['one', 'two'])
      await database.query(`select londiste.local_remove_table('r', $1)`, [name]);
  });

  test('is found when the original subscribed it', async () => {
    await database.query('create table inherited (id int primary key)');
    await addTable(database, 'r', 'inherited');
    await addTable(database, 'r', 'nowhere', ['virtual_table'], 'handler=vtable');
    await database.query('delete from londiste.trigger_args');
    expect(await faults('r')).toEqual([]);
    await database.query('drop trigger _londiste_r on inherited');
    expect(await faults('r')).toEqual(['public.inherited: row trigger missing']);
    expect(await restore('inherited')).toEqual([200, 'Triggers restored: public.inherited']);
    await database.query(`select londiste.local_remove_table('r', 'inherited')`);
  });
});

test('a table without triggers by intent is no fault', async () => {
  await database.query('create table silent (id int primary key)');
  await addTable(database, 'r', 'silent', ['no_triggers']);
  await addTable(database, 'r', 'virtual', ['virtual_table']);
  expect(await faults('r')).toEqual([]);
  expect(await restore('silent')).toEqual([201, 'Trigger not created']);
  expect(await restore('unknown')).toEqual([404, 'no such local table: unknown']);
});

test('changed arguments are remembered', async () => {
  await database.query('create table changed (id int primary key, v text)');
  await addTable(database, 'r', 'changed');
  await database.query(`select londiste.local_change_handler('r', 'public.changed', array['backup'], null)`);
  await database.query('drop trigger _londiste_r on changed');
  await restore('changed');
  expect((await triggers(database, 'changed'))[0]).toContain(`pgq.logutriga('r', 'backup')`);
});

test('partitions and odd names have no faults', async () => {
  await database.query('create table parted (id int primary key) partition by range (id)');
  await database.query('create table parted_0 partition of parted for values from (0) to (9)');
  await database.query(`create table "T.x y" (id int primary key)`);
  await addTable(database, 'r', 'parted');
  await addTable(database, 'r', 'public.T.x y');
  expect(await faults('r')).toEqual([]);
});

test('on a leaf only table and key matter', async () => {
  await database.query('create table guarded (id int primary key)');
  await database.query(`select londiste.global_add_table('l', 'guarded')`);
  await addTable(database, 'l', 'guarded');
  await database.query('drop trigger _londiste_l on guarded');
  expect(await faults('l')).toEqual([]);
  await database.query('alter table guarded drop constraint guarded_pkey');
  expect(await faults('l')).toEqual(['public.guarded: primary key missing']);
  await database.query(`select londiste.local_set_table_state('l', 'guarded', null, 'in-copy')`);
  expect(await faults('l')).toEqual([]);
});

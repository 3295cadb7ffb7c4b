import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { addTable, events, node, triggers } from './set.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  for (const queue of ['r', 'r2', 'r3']) await node(database, queue, 'root');
  await node(database, 'l', 'leaf');
});
afterAll(() => database.drop());

const table = (name: string, columns = 'id int primary key, v text') =>
  database.query(`create table ${name} (${columns})`);

test('flags choose function, time and events', async () => {
  const create = (args: string[]) =>
    database.query<{ ret_code: number; trigger_name: string }>(
      `select ret_code, trigger_name from londiste.create_trigger('r', 'public.flags', $1, 'public.flags', 'root')`,
      [args],
    );
  const rowTrigger = async () => (await triggers(database, 'flags'))[0];
  await table('flags');
  for (const [args, definition] of [
    [['tgflags=QI'], `_londiste_r AFTER INSERT pgq.sqltriga('r')`],
    [['tgflags=BUD'], `_londiste_r BEFORE DELETE OR UPDATE pgq.logutriga('r')`],
    [['tgflags=BAJ'], `_londiste_r AFTER INSERT OR DELETE OR UPDATE pgq.jsontriga('r')`],
    [['tgflags=QL'], `_londiste_r AFTER INSERT OR DELETE OR UPDATE pgq.logutriga('r')`],
    [
      ['expect_sync', 'merge_all', `ev_extra3='a'`, 'ignore=v', 'backup', 'when=id>3'],
      `_londiste_r AFTER INSERT OR DELETE OR UPDATE pgq.logutriga('r', 'ev_extra3=''a''', 'ignore=v', 'backup', 'when=id>3')`,
    ],
  ] as const) {
    expect(await create([...args])).toEqual([{ ret_code: 200, trigger_name: '_londiste_r' }]);
    expect(await rowTrigger()).toBe(definition);
  }
  for (const word of ['no_triggers', 'virtual_table']) {
    expect(await create([word])).toEqual([{ ret_code: 201, trigger_name: null }]);
  }
});

describe('a table under another name', () => {
  test('sends rows and TRUNCATE under the name of the set', async () => {
    await table('renamed');
    await addTable(database, 'r', 'set.name', null, null, 'renamed');
    await database.query(`insert into renamed values (1, 'x')`);
    await database.query('truncate renamed');
    expect((await events(database, 'r')).slice(-2)).toEqual([
      'I:id | id=1&v=x | set.name',
      'R |  | set.name',
    ]);
    await database.query(`select londiste.local_remove_table('r', 'set.name')`);
    expect(await triggers(database, 'renamed')).toEqual([]);
  });

  test('keeps an ev_extra1 of its own', async () => {
    await table('renamed_too');
    await addTable(database, 'r', 'set.two', [`ev_extra1='mine'`], null, 'renamed_too');
    expect((await triggers(database, 'renamed_too'))[0]).toBe(
      `_londiste_r AFTER INSERT OR DELETE OR UPDATE pgq.logutriga('r', 'ev_extra1=''mine''')`,
    );
  });
});

test('a partitioned table sends the rows of its partitions under its own name', async () => {
  await database.query('create table parted (id int primary key, v text) partition by range (id)');
  await database.query('create table parted_0 partition of parted for values from (0) to (10)');
  expect(await addTable(database, 'r2', 'parted')).toEqual([200, 'Table added: public.parted']);
  await database.query('create table parted_1 partition of parted for values from (10) to (20)');
  await database.query(`insert into parted values (1, 'a'), (11, 'b')`);
  await database.query(`update parted_1 set v = 'c'`);
  await database.query('truncate parted');
  expect(await events(database, 'r2')).toEqual([
    'londiste.add-table | public.parted',
    'I:id | id=1&v=a | public.parted',
    'I:id | id=11&v=b | public.parted',
    'U:id | id=11&v=c | public.parted',
    'R |  | public.parted',
  ]);
  await database.query(`select londiste.local_remove_table('r2', 'parted')`);
  expect(await triggers(database, 'parted_1')).toEqual([]);
});

describe('suppressing the change itself', () => {
  test('is the work of the last BEFORE trigger, and of one only', async () => {
    await table('kept_empty');
    await addTable(database, 'r', 'kept_empty', ['SKIP', 'tgflags=B']);
    await addTable(database, 'r2', 'kept_empty', ['skip', 'tgflags=B']);
    expect((await triggers(database, 'kept_empty')).filter((line) => !line.includes('TRUNCATE'))).toEqual([
      `_londiste_r2 BEFORE INSERT OR DELETE OR UPDATE pgq.logutriga('r2')`,
      `zzz__londiste_r BEFORE INSERT OR DELETE OR UPDATE pgq.logutriga('r', 'SKIP')`,
    ]);
    await database.query(`insert into kept_empty values (1, 'x')`);
    expect(await database.query('select * from kept_empty')).toEqual([]);
    expect((await events(database, 'r2')).at(-1)).toBe('I:id | id=1&v=x | public.kept_empty');
    expect(await addTable(database, 'r3', 'kept_empty')).toEqual([
      403,
      'Trigger creation failed for table public.kept_empty: AFTER trigger cannot work with SKIP trigger(s)',
    ]);
    expect(await database.query(`select * from londiste.get_table_list('r3')`)).toEqual([]);
    expect(await events(database, 'r3')).toEqual([]);
  });

  test('moves to the end where somebody else began it', async () => {
    await table('foreign_skip');
    await database.query(
      `create trigger foo before insert on foreign_skip for each row execute procedure pgq.logutriga('x', 'SKIP')`,
    );
    await addTable(database, 'r', 'foreign_skip', ['SKIP', 'tgflags=B']);
    expect((await triggers(database, 'foreign_skip')).filter((line) => !line.includes('TRUNCATE'))).toEqual([
      `_londiste_r BEFORE INSERT OR DELETE OR UPDATE pgq.logutriga('r')`,
      `zzz_foo BEFORE INSERT pgq.logutriga('x', 'SKIP')`,
    ]);
    await database.query(
      `create trigger foo2 before insert on foreign_skip for each row execute procedure pgq.logutriga('y', 'SKIP')`,
    );
    expect((await addTable(database, 'r2', 'foreign_skip', ['tgflags=B']))[0]).toBe(200);
    expect(await addTable(database, 'r3', 'foreign_skip', ['SKIP', 'tgflags=B'])).toEqual([
      405,
      'Trigger creation failed for table public.foreign_skip: Multiple SKIP triggers',
    ]);
  });
});

test('the triggers of a queue with a long name do not meet', async () => {
  const queue = 'q'.repeat(80);
  await node(database, queue, 'root');
  await table('long_named');
  expect((await addTable(database, queue, 'long_named'))[0]).toBe(200);
  expect((await addTable(database, queue, 'long_named'))[0]).toBe(200);
  expect(await triggers(database, 'long_named')).toHaveLength(2);
  await database.query('select londiste.drop_table_triggers($1, $2)', [queue, 'public.long_named']);
  expect(await triggers(database, 'long_named')).toEqual([]);
});

test('triggers of other queues and of users are not dropped', async () => {
  await table('shared');
  await database.query(
    `create function nothing() returns trigger language plpgsql as 'begin return null; end'`,
  );
  await database.query('create trigger mine after insert on shared for each row execute procedure nothing()');
  await addTable(database, 'r', 'shared');
  await addTable(database, 'r2', 'shared');
  await database.query(
    `create trigger by_hand after insert on shared for each row execute procedure pgq.jsontriga('r')`,
  );
  await database.query(`select londiste.drop_table_triggers('r', 'public.shared')`);
  expect(await triggers(database, 'shared')).toEqual([
    `_londiste_r2 AFTER INSERT OR DELETE OR UPDATE pgq.logutriga('r2')`,
    `_londiste_r2_truncate AFTER TRUNCATE pgq.sqltriga('r2')`,
    'mine AFTER INSERT nothing()',
  ]);
});

test('the trigger functions are recognised', async () => {
  expect(
    await database.query(
      `select londiste.is_replica_func('pgq.sqltriga()'::regprocedure) as a,
              londiste.is_replica_func('pgq.logutriga()'::regprocedure) as b,
              londiste.is_replica_func('pgq.jsontriga()'::regprocedure) as c,
              londiste.is_replica_func('londiste.truncate_trigger()'::regprocedure) as d,
              londiste.is_replica_func('nothing()'::regprocedure) as e`,
    ),
  ).toEqual([{ a: true, b: true, c: true, d: true, e: false }]);
});

describe('generated triggers', () => {
  test.each(['fast', 'fast=statement'])(
    '%s write the events of the classic ones, and go with the table',
    async (word) => {
      const name = word.replace('=', '_');
      await node(database, word, 'root');
      await table(name);
      expect(await addTable(database, word, name, [word, 'backup'])).toEqual([
        200,
        `Table added: public.${name}`,
      ]);
      await database.query(`insert into ${name} values (1, 'x')`);
      await database.query(`update ${name} set v = 'y'`);
      await database.query(`delete from ${name}`);
      await database.query(`truncate ${name}`);
      expect(await events(database, word)).toEqual([
        `londiste.add-table | public.${name}`,
        `I:id | id=1&v=x | public.${name}`,
        `U:id | id=1&v=y | public.${name}`,
        `D:id | id=1&v=y | public.${name}`,
        `R |  | public.${name}`,
      ]);
      const faults = () => database.query('select fault from londiste.find_trigger_faults($1)', [word]);
      expect(await faults()).toEqual([]);
      const [first] = await database.query<{ tgname: string }>(
        `select tgname from pg_trigger where tgrelid = $1::regclass and tgtype & 4 > 0`,
        [name],
      );
      await database.query(`drop trigger "${first?.tgname}" on ${name}`);
      expect(await faults()).toEqual([{ fault: 'row trigger missing' }]);
      await database.query('select londiste.restore_triggers($1, $2)', [word, name]);
      expect(await faults()).toEqual([]);
      await database.query('select londiste.local_remove_table($1, $2)', [word, name]);
      expect(await triggers(database, name)).toEqual([]);
      expect(
        await database.query(`select proname from pg_proc where starts_with(proname, '_pgq_fast_')`),
      ).toEqual([]);
    },
  );

  test('carry another name too', async () => {
    await node(database, 'fast_named', 'root');
    await table('fast_renamed');
    await addTable(database, 'fast_named', 'other.name', ['fast'], null, 'fast_renamed');
    await database.query(`insert into fast_renamed values (1, 'x')`);
    await database.query('truncate fast_renamed');
    expect((await events(database, 'fast_named')).slice(1)).toEqual([
      'I:id | id=1&v=x | other.name',
      'R |  | other.name',
    ]);
  });

  test('take no flags, and are not for a leaf', async () => {
    await table('flagged');
    expect(await addTable(database, 'r', 'flagged', ['fast', 'tgflags=BI'])).toEqual([
      405,
      'Trigger creation failed for table public.flagged: Generated triggers have no flags but L and J',
    ]);
    await database.query(`select londiste.global_add_table('l', 'flagged')`);
    await addTable(database, 'l', 'flagged', ['fast', 'no_merge']);
    expect(await triggers(database, 'flagged')).toEqual([
      `_londiste_l AFTER INSERT OR DELETE OR UPDATE pgq.logutriga('l', 'deny')`,
      `_londiste_l_truncate AFTER TRUNCATE pgq.sqltriga('l', 'deny')`,
    ]);
  });
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query('create table parent (id int primary key)');
  await database.query(
    `create table "M t" (id int primary key, mail text unique, changed text, "n x" numeric, p int)`,
  );
});
beforeEach(() => database.query('truncate "M t", parent'));
afterAll(() => database.drop());

const apply = async (type: string, data: string, conf = 'timefield=changed') =>
  (
    await database.query<{ done: string }>(
      `select londiste.merge_on_time($1, '1', '1', '', '', null, $2, $3, 'public.M t', null, null, null) as done`,
      [conf, type, data],
    )
  )[0]?.done;
const rows = () => database.query('select id, mail, changed, "n x" as n from "M t" order by id');

test('urlencoded elements are read in their order', async () => {
  expect(
    await database.query(
      `select name, value from londiste._urldecode('a=1&Col+B=a+b%26c%3d%C3%a9%2f~&empty=&null&&e=x=y')`,
    ),
  ).toEqual([
    { name: 'a', value: '1' },
    { name: 'Col B', value: 'a b&c=é/~' },
    { name: 'empty', value: '' },
    { name: 'null', value: null },
    { name: 'e', value: 'x=y' },
  ]);
});

describe('of several versions of a row', () => {
  test('the newest stays, whatever the order', async () => {
    expect(await apply('I:id', 'id=1&changed=2020-01-02&n+x=1.50&mail')).toBe('insert');
    expect(await apply('U:id', 'id=1&changed=2020-01-01&n+x=9')).toBe('ignored: present row is not older');
    expect(await apply('I:id', `id=1&changed=2020-01-03&n+x=2&mail=it%27s`)).toBe('update');
    expect(await apply('U:id', 'id=2&changed=2020-01-03&n+x=3')).toBe('insert');
    expect(await apply('D:id', 'id=1&changed=2020-01-01')).toBe('ignored: present row is not older');
    expect(await rows()).toEqual([
      { id: 1, mail: "it's", changed: '2020-01-03', n: '2' },
      { id: 2, mail: null, changed: '2020-01-03', n: '3' },
    ]);
    expect(await apply('D:id', 'id=1&changed=2020-01-04')).toBe('delete');
    expect(await apply('D:id', 'id=1&changed=2020-01-04')).toBe('ignored: no such row');
  });

  test('another key may find the row, which then takes the new primary key', async () => {
    const conf = 'timefield=changed&altpk=mail';
    await apply('I:id', 'id=1&mail=a&changed=2020-01-01', conf);
    expect(await apply('I:id', 'id=7&mail=a&changed=2019-01-01', conf)).toBe(
      'ignored: present row is not older',
    );
    expect(await apply('I:id', 'id=7&mail=a&changed=2020-01-02', conf)).toBe('insert');
    expect(await rows()).toEqual([{ id: 7, mail: 'a', changed: '2020-01-02', n: null }]);
  });

  test('one without its parent is ignored', async () => {
    const conf = 'timefield=changed&fkey_ref_table=parent&fkey_ref_cols=id&fkey_cols=p';
    expect(await apply('I:id', 'id=1&p=5&changed=2020-01-01', conf)).toBe('ignored: parent row missing');
    await database.query('insert into parent values (5)');
    expect(await apply('I:id', 'id=1&p=5&changed=2020-01-01', conf)).toBe('insert');
  });
});

test('bad settings and events are refused', async () => {
  await expect(apply('I:id', 'id=1', 'altpk=x')).rejects.toThrow('merge_on_time needs timefield');
  await expect(apply('R', 'id=1')).rejects.toThrow('merge_on_time cannot read event type R');
});

import { expect, test } from 'vitest';
import { compareTable, isIdentical } from '../../../lib/local/demo/compare.ts';
import type { DemoTable } from '../../../lib/local/demo/tables.ts';
import { testDatabase } from '../../support/postgres.ts';

const TABLE: DemoTable = {
  name: 'public.odd "table"',
  capture: { set: 'logutriga' },
  file: '',
  columns: [
    { name: 'k', type: 'text', key: true, from: '' },
    { name: 'n', type: 'int4', key: true, from: '' },
    { name: 'odd "value"', type: 'text', from: '' },
  ],
};

test('a row that is missing, too many, or different in a single column is counted, whatever its text', async () => {
  const sides = [await testDatabase({ from: 'empty' }), await testDatabase({ from: 'empty' })] as const;
  for (const side of sides) {
    await side.query(
      'create table "odd ""table""" (k text, n int4, "odd ""value""" text, primary key (k, n))',
    );
    await side.query(
      `insert into "odd ""table""" select k, n, v
         from unnest(array['', 'é', E'tab\\t', E'line\\n', 'back\\slash', '東京', 'a,b', '"q"']) k,
              generate_series(1, 500) n, lateral (select case when n % 7 = 0 then null else k || n end) v(v)`,
    );
  }
  const [source, target] = [await sides[0].connect(), await sides[1].connect()];
  const equal = await compareTable(source as never, target as never, TABLE);
  expect(equal).toEqual({ table: TABLE.name, same: 4000, onlySource: 0, onlyTarget: 0, different: 0 });
  expect(isIdentical(equal)).toBe(true);

  await sides[1].query(`update "odd ""table""" set "odd ""value""" = '' where k = 'é' and n = 7`);
  await sides[1].query(`delete from "odd ""table""" where k = '東京' and n in (1, 500)`);
  await sides[1].query(`insert into "odd ""table""" values ('zz', 1, null), ('', 0, null), ('é', 501, 'x')`);
  const unequal = await compareTable(source as never, target as never, TABLE);
  expect(unequal).toEqual({ table: TABLE.name, same: 3997, onlySource: 2, onlyTarget: 3, different: 1 });
  expect(isIdentical(unequal)).toBe(false);
});

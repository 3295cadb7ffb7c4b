import fc from 'fast-check';

/** A column of a random table: its type and literals of its values. */
interface ColumnType {
  readonly sql: string;
  readonly literal: fc.Arbitrary<string>;
  /** Fit for a key: comparable and not too long. */
  readonly key?: boolean;
}

const quote = (value: string) => `'${value.replaceAll("'", "''")}'`;
const oneOf = (...values: string[]) => fc.constantFrom(...values.map(quote));

const text = fc
  .string({ unit: 'binary', maxLength: 12 })
  .map((value) => value.replaceAll('\0', ' ').toWellFormed())
  .map(quote);
const awkward = oneOf(
  '',
  ' ',
  'null',
  'NULL',
  '""',
  '\\',
  'a,b',
  '(x)',
  "it's",
  'a&b=c%+d',
  '\t\r\n',
  'é€😀',
  '\u0001\u007f',
);
const words = oneOf('a', 'customer 17', 'x-y_z.0', 'a+b c:d/e', 'Ünïcode');

const time = fc
  .tuple(
    fc.integer({ min: 1, max: 2900 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 28 }),
    fc.nat(86_399),
  )
  .map(([year, month, day, second]) => {
    const two = (value: number) => String(value).padStart(2, '0');
    const clock = [Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60].map(two).join(':');
    return quote(`${String(year).padStart(4, '0')}-${two(month)}-${two(day)} ${clock}`);
  });

const TYPES: readonly ColumnType[] = [
  { sql: 'int4', literal: fc.integer().map((value) => quote(String(value))), key: true },
  {
    sql: 'int2',
    literal: fc.integer({ min: -32768, max: 32767 }).map((value) => quote(String(value))),
    key: true,
  },
  {
    sql: 'int8',
    literal: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => quote(String(value))),
    key: true,
  },
  { sql: 'bool', literal: oneOf('t', 'f') },
  { sql: 'text', literal: fc.oneof(text, awkward, words), key: true },
  { sql: 'varchar(40)', literal: fc.oneof(awkward, words), key: true },
  { sql: 'char(6)', literal: oneOf('a', 'ab', '', 'é', 'a b'), key: true },
  { sql: 'name', literal: oneOf('a', 'a b', '') },
  { sql: '"char"', literal: oneOf('a', ' ', '') },
  { sql: 'numeric', literal: oneOf('NaN', '1.50', '1.5', '-0.00012', '1e30', 'Infinity', '0'), key: true },
  {
    sql: 'float8',
    literal: fc.oneof(
      fc.double().map((value) => quote(String(value))),
      oneOf('-0', '0', '0.1', '1e300'),
    ),
  },
  { sql: 'float4', literal: oneOf('-0', '0', 'NaN', 'Infinity', '-Infinity', '1.1', '3e38') },
  { sql: 'date', literal: fc.oneof(time, oneOf('infinity', '-infinity', '0044-03-15 BC')), key: true },
  {
    sql: 'timestamp',
    literal: fc.oneof(time, oneOf('infinity', '0044-03-15 12:00:00.123456 BC')),
    key: true,
  },
  { sql: 'timestamptz', literal: fc.oneof(time, oneOf('-infinity', '0044-03-15 BC')), key: true },
  { sql: 'time', literal: oneOf('12:00', '23:59:59.999999', '24:00') },
  { sql: 'timetz', literal: oneOf('12:00+05', '23:59:59.999999-03:30') },
  { sql: 'interval', literal: oneOf('1 day', '24 hours', '-1 year 2 mons', '00:00:01.5') },
  { sql: 'uuid', literal: fc.uuid().map(quote), key: true },
  {
    sql: 'bytea',
    literal: fc
      .uint8Array({ maxLength: 8 })
      .map((value) => quote(`\\x${Buffer.from(value).toString('hex')}`)),
  },
  {
    sql: 'json',
    literal: fc
      .json({ maxDepth: 2 })
      .filter((value) => !value.includes('\\u0000'))
      .map(quote),
  },
  { sql: 'jsonb', literal: oneOf('{"a": 1.0}', '{"a": 1.00}', '[]', 'null', '"é\\"\\\\"') },
  { sql: 'int4[]', literal: oneOf('{}', '{1,2}', '{NULL}', '[0:1]={1,2}') },
  { sql: 'text[]', literal: oneOf('{}', '{"a b",NULL,"NULL",""}', '{"\\"q\\"","\\\\"}') },
  { sql: 'inet', literal: oneOf('10.0.0.1', '10.0.0.0/8', '::1') },
  { sql: 'cidr', literal: oneOf('10.0.0.0/8') },
  { sql: 'macaddr', literal: oneOf('08:00:2b:01:02:03') },
  { sql: 'bit(3)', literal: oneOf('101', '000') },
  { sql: 'varbit', literal: oneOf('1', '') },
  { sql: 'money', literal: oneOf('12.5', '-1000') },
  { sql: 'point', literal: oneOf('(1,2)', '(0.5,-1)') },
  { sql: 'int4range', literal: oneOf('[1,5)', 'empty', '(,)') },
  { sql: 'oid', literal: oneOf('0', '4294967295') },
  { sql: 'a_domain', literal: oneOf('1', '-5') },
  { sql: 'a_bool', literal: oneOf('t', 'f') },
  { sql: 'a_text', literal: awkward },
  { sql: 'an_enum', literal: oneOf('a b', 'c') },
  { sql: 'a_row', literal: oneOf('(1,"a b")', '(,)', '(,"")') },
];

/** Types that the tables use, made once. */
export const TYPE_SETUP = `
  create domain a_domain as int; create domain a_bool as bool; create domain a_text as text;
  create type an_enum as enum ('a b', 'c'); create type a_row as (x int, y text)`;

const SETTINGS = [
  'select',
  `set local datestyle = 'German'; set local intervalstyle = 'iso_8601'`,
  `set local datestyle = 'SQL, DMY'; set local timezone = 'America/St_Johns'; set local bytea_output = 'escape'`,
  `set local datestyle = 'Postgres, MDY'; set local timezone = '<+03>-3'; set local extra_float_digits = -5`,
  `set local timezone = 'Asia/Tokyo'; set local intervalstyle = 'sql_standard'; set local extra_float_digits = 0`,
];

/** Statements that run one after the other in a transaction, under settings that change how values print. */
export interface RandomTransaction {
  readonly settings: string;
  readonly statements: string[];
}

/** A random table, the arguments of its triggers, and transactions that change it. */
export interface RandomTable {
  readonly name: string;
  readonly create: string;
  readonly args: string[];
  readonly transactions: RandomTransaction[];
}

const NAMES = ['a', 'B c', 'ключ', 'user', 'x&y=z', 'e"f', 'select', 'g_1', "q'r", 'Zz', '%20', 'h'];

/** Types of which a table may consist for a generated trigger to take its shorter way (pgq._fast_plain). */
const PLAIN = TYPES.filter(({ sql }) =>
  /^(bool|int[248]|oid|numeric|uuid|text|varchar.*|float[48]|date|time.*)$/.test(sql),
);

/** A table with so many transactions on it, of so many statements each. */
export function randomTable(transactions: number, statements: number): fc.Arbitrary<RandomTable> {
  return fc
    .constantFrom(TYPES, PLAIN)
    .chain((types) =>
      fc.tuple(
        fc.array(fc.constantFrom(...types.filter((type) => type.key)), { minLength: 1, maxLength: 2 }),
        fc.array(fc.constantFrom(...types), { maxLength: 8 }),
        fc.shuffledSubarray(NAMES, { minLength: NAMES.length }),
        fc.boolean(),
        fc.nat(),
        fc.constantFrom('t', 'T able', 'таблица'),
      ),
    )
    .chain(([keys, others, names, backup, choice, name]) => {
      const ident = (value: string) => `"${value.replaceAll('"', '""')}"`;
      const table = ident(name);
      // the number makes the key unique, whatever the values of its other columns
      const columns = [{ sql: 'int4', literal: fc.constant('0') }, ...keys, ...others];
      const cols = columns.map((_, i) => (i === 0 ? 'no' : names[i - 1]!));
      const other = cols.slice(1 + keys.length);
      const ignored = other.filter((_, i) => (choice >> i) % 3 === 1 && !/[,"]/.test(other[i]!));
      const args = [
        ...(ignored.length > 0 && choice % 2 === 0 ? [`ignore=${ignored.join(',')}`] : []),
        ...(backup ? ['backup'] : []),
        ...(choice % 7 === 0 ? ['when=no % 3 <> 0'] : []),
        ...(choice % 5 === 0 ? ['ev_extra3=no * 2', `ev_extra4=nullif(no, 4)`] : []),
        ...(choice % 11 === 0 ? ['pkey=no'] : []),
      ];
      const definitions = columns.map(({ sql }, i) => `${ident(cols[i]!)} ${sql}`);
      const value = (type: ColumnType) =>
        fc.oneof({ weight: 1, arbitrary: fc.constant('null') }, { weight: 5, arbitrary: type.literal });
      const keyValues = fc.tuple(...keys.map((type) => type.literal));
      const row = fc.tuple(fc.nat(30), keyValues, fc.tuple(...others.map(value)));
      const insert = fc.array(row, { minLength: 1, maxLength: 3 }).map(
        (rows) =>
          `insert into ${table} (${cols.map(ident).join(', ')}) values ${rows.map(([no, key, rest]) => `(${[no, ...key, ...rest].join(', ')})`).join(', ')}
             on conflict do nothing`,
      );
      const change = fc
        .tuple(fc.tuple(...others.map(value)), fc.nat(255), fc.nat(30), fc.constantFrom(0, 0, 0, 1, 1, 3, 30))
        .map(([values, which, first, width]) => {
          const sets = other.flatMap((col, i) =>
            (which >> i) % 2 === 1 ? [`${ident(col)} = ${values[i]}`] : [],
          );
          return `update ${table} set ${sets.length > 0 ? sets.join(', ') : 'no = no'}
             where no between ${first} and ${first + width}`;
        });
      const remove = fc.nat(30).map((no) => `delete from ${table} where no >= ${no}`);
      const alter = fc.constantFrom(
        `alter table ${table} add "new col" text default 'd'`,
        `alter table ${table} drop if exists "new col"`,
        ...(other.length > 0
          ? [
              `alter table ${table} rename ${ident(other[0]!)} to ${ident(`${other[0]} 2`)}`,
              `alter table ${table} rename ${ident(`${other[0]} 2`)} to ${ident(other[0]!)}`,
              `alter table ${table} drop ${ident(other.at(-1)!)}`,
              `alter table ${table} add ${ident(other.at(-1)!)} ${others.at(-1)!.sql}`,
            ]
          : []),
        'select pgq.refresh_fast_triggers()',
      );
      const statement = fc.oneof(
        { weight: 12, arbitrary: insert },
        { weight: 12, arbitrary: change },
        { weight: 3, arbitrary: remove },
        { weight: 1, arbitrary: fc.constant(`truncate ${table}`) },
        { weight: 1, arbitrary: alter },
      );
      return fc
        .array(
          fc.record({
            settings: fc.constantFrom(...SETTINGS),
            statements: fc.array(statement, { minLength: statements, maxLength: statements }),
          }),
          { minLength: transactions, maxLength: transactions },
        )
        .map((list) => ({
          name: table,
          create: `create table ${table} (${definitions.join(', ')}, primary key (${cols
            .slice(0, 1 + keys.length)
            .reverse()
            .map(ident)
            .join(', ')}))`,
          args,
          transactions: list,
        }));
    });
}

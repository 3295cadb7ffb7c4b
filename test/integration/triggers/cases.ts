/** One call of a trigger: the trigger is made, the statement run, the trigger dropped. */
export interface Step {
  /** `jsontriga`, `logutriga` or `sqltriga`. */
  readonly fn: string;
  readonly when: 'before' | 'after' | 'instead of';
  readonly level: 'row' | 'statement';
  readonly args: readonly string[];
  readonly run: string;
  /** Settings of the session for the statement. */
  readonly set: Readonly<Record<string, string>>;
}

/** A table and what is done to it. */
export interface Case {
  /** The promise that the case shows. */
  readonly name: string;
  readonly setup: string;
  readonly steps: readonly Step[];
}

type Options = Partial<Omit<Step, 'args' | 'run'>>;

const FUNCTIONS = ['jsontriga', 'logutriga', 'sqltriga'];

/** The step for each of the three functions, unless one is named. */
function step(args: string[], run: string, options: Options = {}): Step[] {
  return (options.fn ? [options.fn] : FUNCTIONS).map((fn) => ({
    when: 'after',
    level: run.startsWith('truncate') ? 'statement' : 'row',
    args,
    run,
    set: {},
    ...options,
    fn,
  }));
}

const ONE_OF_EACH = `
  create type ct as (x int, y text);
  create domain di as int; create domain db as bool; create domain dt as text;
  create type en as enum ('a b', 'c');
  create schema "S x";
  create table "S x"."T.y" (
    id int, "K é" text, f8 float8, f4 float4, n numeric, oidc oid, b bool, db db, di di, dt dt, en en, c ct, ia int[],
    ta text[], j json, jb jsonb, by bytea, d date, ts timestamp, tz timestamptz, t time, ttz timetz, iv interval,
    u uuid, inet inet, cidr cidr, mac macaddr, bp char(5), vc varchar(10), nm name, ch "char", bt bit(3), vb varbit,
    mon money, x xml, p point, bx box, r int4range, nr numrange, mr int4multirange, tsv tsvector, ca ct[], da di[],
    rc regclass, i8 int8, i2 int2, jp jsonpath, pl pg_lsn, m8 macaddr8, x8 xid8, ov oidvector,
    primary key ("K é", id))`;

const ONE_OF_EACH_ROW = `
  insert into "S x"."T.y" values (1, E'é "q\\\\\\n', 1.5, 'NaN', 'NaN', 4294967295, true, false, 5, 'x', 'a b',
    '(1,"a b")', '{1,2}', '{"a b",NULL,"NULL",""}', '{"a": 1}', '{"a":1.0}', '\\xdeadbeef', '0044-03-15 BC', 'infinity',
    '2020-01-01 12:00:00.5+03', '12:00', '12:00+05', '1 day -2 hours', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    '10.0.0.1', '10.0.0.0/8', '08:00:2b:01:02:03', 'ab', 'v', 'n', 'c', '101', '1011', 12.5, '<a/>', '(1,2)',
    '((0,0),(1,1))', '[1,5)', '[1.0,2.0]', '{[1,2),[5,9)}', 'a b:1', '{"(1,x)"}', '{1,2}', 'pg_class',
    9223372036854775807, -5, '$.a', '0/1', '08:00:2b:01:02:03:04:05', '12', '1 2')`;

const EVERY_ASCII = Array.from({ length: 127 }, (_, i) => `chr(${i + 1})`).join('||');

export const cases: Case[] = [
  {
    name: 'every type is logged as its output function prints it, JSON numbers, booleans and ISO dates excepted',
    setup: ONE_OF_EACH,
    steps: [
      ...step(['q', 'backup'], ONE_OF_EACH_ROW),
      ...step(
        ['q', 'backup'],
        `${ONE_OF_EACH_ROW}; update "S x"."T.y" set f8 = '-Infinity', ts = '0044-03-15 12:00 BC', d = '-infinity',
           tz = '-infinity', i8 = -9223372036854775808, vc = '', bp = null, b = null, db = true, ta = '{}'`,
      ),
      ...step(['q'], `${ONE_OF_EACH_ROW}; delete from "S x"."T.y"`),
      ...step(['q'], ONE_OF_EACH_ROW, {
        set: {
          DateStyle: 'German',
          IntervalStyle: 'iso_8601',
          bytea_output: 'escape',
          TimeZone: 'America/St_Johns',
          extra_float_digits: '-3',
        },
      }),
      ...step(['q'], ONE_OF_EACH_ROW, { set: { DateStyle: 'SQL, DMY', TimeZone: 'Asia/Tokyo' } }),
      ...step(['q'], ONE_OF_EACH_ROW, {
        set: { DateStyle: 'Postgres, MDY', IntervalStyle: 'postgres_verbose' },
      }),
      ...step(['q'], `insert into "S x"."T.y"(id, "K é") values (1, '')`),
    ],
  },
  {
    name: 'every character is encoded as the format asks',
    setup: 'create table t (id int primary key, a text, "a+b c%=&é/~*(\'""\\" text)',
    steps: [
      ...step(['q'], `insert into t values (1, ${EVERY_ASCII}, 'é€😀 \u00a0\u2028')`),
      ...step(
        ['q'],
        `insert into t select 1, string_agg(chr(i), '' order by i), 'many'
        from generate_series(9, 1200) i`,
      ),
      ...step(
        ['q'],
        `insert into t values (1, '%25+ %', '""'), (2, '""', '\\\\'), (3, '"', '\\'), (4, ',', ',,"",')`,
      ),
      ...step(
        ['q'],
        `insert into t values (1, '(', ')'), (2, '(",")', ''), (3, null, ' '), (4, 'NULL', 'null')`,
      ),
      ...step(
        ['q', 'backup'],
        `insert into t values (1, 'it''s', 'E''\\x'); update t set a = E'\\\\\\'', id = 1`,
      ),
    ],
  },
  {
    name: 'a table of one column, of none but dropped ones, of dropped and added columns',
    setup: `create table one (a text); create table gone (x int, y int); alter table gone drop x, drop y;
      create table mix (x int, id int, y text, primary key (id)); alter table mix drop x, add "new" int default 7;
      alter table mix drop y, add z text`,
    steps: [
      ...step(['q'], `insert into one values (null), (''), ('a,b'), ('"')`),
      ...step(['q'], 'insert into gone default values'),
      ...step(
        ['q', 'backup'],
        `insert into mix values (1, 2, 'z'); update mix set z = null; delete from mix`,
      ),
    ],
  },
  {
    name: 'columns added with a default are logged for rows written before',
    setup: `create table t (id int primary key); insert into t values (1); alter table t add a text default 'dflt'`,
    steps: [...step(['q', 'backup'], 'update t set id = id'), ...step(['q'], 'delete from t')],
  },
  {
    name: 'generated and identity columns',
    setup: `create table t (id int generated always as identity primary key, a text,
      g int generated always as (length(a)) stored)`,
    steps: [
      ...step(['q', 'backup'], `insert into t (a) values ('abc'); update t set a = 'abcdef'; delete from t`),
      ...step(['q', 'backup'], `insert into t (a) values ('abc'); update t set a = 'abcdef'; delete from t`, {
        when: 'before',
      }),
    ],
  },
  {
    name: 'the key is the primary key in index order, or pkey= as it is written',
    setup: `create table t (a int, b text, c int, n numeric, primary key (c, a)); insert into t values (1, 'b', 3, 1.5);
      create table nokey (a int, b text); insert into nokey values (1, 'b')`,
    steps: [
      ...step(['q'], 'update t set b = 4'),
      ...step(['q', 'pkey=b, n '], `update t set a = 4`),
      ...step(['q', 'pkey=a,,nope,'], `update t set b = 4`),
      ...step(['q', 'pkey=nope'], `update t set b = 4`),
      ...step(['q', 'pkey=nope'], 'update t set b = b', { fn: 'logutriga' }),
      ...step(['q', 'pkey='], `insert into t values (5, 'b', 5, null)`),
      ...step(['q', 'pkey='], `update t set b = 4`),
      ...step(['q', 'pkey=a', 'pkey='], 'delete from t'),
      ...step(['q', 'pkey=a', 'pkey=n'], 'delete from t'),
      ...step(['q', 'pkey=b'], `insert into t values (5, null, 5, null); delete from t`),
      ...step(['q'], 'delete from nokey'),
      ...step(['q'], 'update nokey set b = 1'),
      ...step(['q'], 'insert into nokey values (1, null)'),
      ...step(['q'], 'truncate nokey'),
      ...step(['q', 'pkey=a'], 'update nokey set b = 1'),
    ],
  },
  {
    name: 'a key cannot be changed, by the equality of its type',
    setup: `create table t (n numeric, c char(4), t text, b text, primary key (n, c));
      insert into t values (1.5, 'a', 't', 'b')`,
    steps: [
      ...step(['q'], 'update t set n = 1.50'),
      ...step(['q'], `update t set c = 'a  '`),
      ...step(['q'], 'update t set n = 2'),
      ...step(['q'], `update t set c = 'b'`),
      ...step(['q', 'pkey=t'], `update t set t = 'T'`),
      ...step(['q', 'pkey=t', 'ignore=t'], `update t set t = 'T'`),
      ...step(['q', 'pkey=t'], 'update t set t = null'),
      ...step(['q', 'pkey=t', 'SKIP'], `update t set t = 'x'`, { when: 'before' }),
    ],
  },
  {
    name: 'arguments are read in any order; what is unknown is refused',
    setup: 'create table t (id int primary key, a text)',
    steps: [
      ...[
        'ev_extra5=1',
        'ev_extra=1',
        'skip',
        'backup=1',
        'deny=1',
        '',
        ' ignore=a',
        'IGNORE=a',
        'SKIP ',
        'when',
      ].flatMap((arg) => step(['q', arg], 'insert into t values (1)', { fn: 'logutriga' })),
      ...step([], 'insert into t values (1)'),
      ...step([''], 'insert into t values (1)'),
      ...step(['q'], 'insert into t values (1)', { level: 'statement' }),
      ...step([], 'insert into t values (1)', { level: 'statement' }),
      ...step(['q', 'bad'], 'delete from t', { level: 'statement' }),
      ...step(['q', 'SKIP', 'pkey=x', 'backup', 'deny', 'foo'], 'insert into t values (1)', {
        when: 'before',
      }),
      ...step(['q', 'backup', 'backup', 'pkey=a', 'ignore=id'], 'insert into t values (1)'),
    ],
  },
  {
    name: 'SKIP suppresses the change BEFORE it, and is refused AFTER it',
    setup: `create table t (id int primary key, a text, b text); insert into t values (1, 'a', 'b')`,
    steps: [
      ...step(['q', 'SKIP'], `insert into t values (1, 'c')`, { when: 'before' }),
      ...step(['q', 'SKIP'], `update t set a = 'c'`, { when: 'before' }),
      ...step(['q', 'SKIP'], 'delete from t', { when: 'before' }),
      ...step(['q', 'SKIP', 'when=false'], 'delete from t', { when: 'before' }),
      ...step(['q', 'SKIP', 'ignore=a'], `update t set a = 'c'`, { when: 'before' }),
      ...step(['q'], `update t set a = 'c'`, { when: 'before' }),
      ...step(['q', 'SKIP'], 'insert into t values (2)'),
      ...step(['q', 'SKIP', 'deny'], 'insert into t values (2)'),
      ...step(['q', 'SKIP', 'deny'], 'insert into t values (2)', { when: 'before' }),
      ...step(['q', 'SKIP', 'pkey='], 'delete from t'),
    ],
  },
  {
    name: 'deny refuses every operation',
    setup: `create schema "S x"; create table "S x".t (id int primary key); insert into "S x".t values (1)`,
    steps: [
      'insert into "S x".t values (2)',
      'update "S x".t set id = 5',
      'delete from "S x".t',
      'truncate "S x".t',
    ].flatMap((run) => [...step(["q'q", 'deny'], run), ...step(["q'q", 'deny'], run, { when: 'before' })]),
  },
  {
    name: 'TRUNCATE is logged, and knows SKIP and deny alone',
    setup: 'create table t (id int primary key, a text)',
    steps: [
      ...step(['q'], 'truncate t'),
      ...step(['q'], 'truncate t', { when: 'before' }),
      ...step(['q', 'SKIP'], 'truncate t', { when: 'before' }),
      ...step(['q', 'SKIP'], 'truncate t'),
      ...[
        ['deny', 'SKIP', 'ignore=a'],
        ['pkey=id'],
        ['pkey='],
        ['backup'],
        ['when=true', 'junk'],
        ['junk', 'when=true'],
        ['ev_type=1'],
        ['backup', 'pkey=', 'ignore=1'],
        ['backup', 'junk'],
      ].flatMap((args) => step(['q', ...args], 'truncate t', { fn: 'jsontriga' })),
    ],
  },
  {
    name: 'ignore= leaves columns out, and an update of them alone makes no event',
    setup: `create table t (id int primary key, a text, "Col" text, n numeric, j json, "a b" text, "x,y" int, y int,
        f float8, bx box, ia int[], iv interval, jb jsonb, nr numrange, e float4);
      insert into t values (1, 'a', 'C', 1.5, '{"a":1}', 'ab', 1, 2, 0.1, '((0,0),(1,1))', '{1}', '1 day',
        '{"a":1.0}', '[1.0,2.0]', 0)`,
    steps: [
      ...step(['q', 'ignore=a'], `update t set a = 'x'`),
      ...step(['q', 'ignore=a'], `update t set a = 'x', n = 2`),
      ...step(['q', 'ignore=a'], 'update t set a = a'),
      ...step(
        ['q', 'ignore=a'],
        `update t set a = 'x', n = 1.50, iv = '24 hours', jb = '{"a":1.00}', e = '-0'`,
      ),
      ...step(['q', 'ignore=a'], `update t set a = 'x', nr = '[1.00,2.00]'`),
      ...step(['q', 'ignore=a'], `update t set a = 'x', bx = '((1,0),(0,1))'`),
      ...step(['q', 'ignore=a'], `update t set a = 'x', bx = '((5,5),(4,4))'`),
      ...step(['q', 'ignore=a'], `update t set a = 'x', j = '{"a": 1}'`),
      ...step(['q', 'ignore=a'], `update t set a = 'x', ia = '[0:0]={1}'`),
      ...step(['q', 'ignore=a'], `update t set a = 'x', f = 0.1::float8 + 2e-17`),
      ...step(['q', 'ignore=a'], `update t set a = 'x', f = 0.1::float8 + 2e-17`, {
        set: { extra_float_digits: '0' },
      }),
      ...step(['q', 'ignore=nope'], `update t set a = 'x'`),
      ...step(['q', 'ignore='], `update t set a = 'x'`),
      ...step(['q', 'ignore=a', 'ignore=n'], `update t set a = 'x'`),
      ...step(['q', 'ignore=id'], 'delete from t'),
      ...step(
        ['q', 'ignore=id,a,Col,n,j,a b,x,y,f,bx,ia,iv,jb,nr,e', 'backup'],
        'update t set n = 1; delete from t',
      ),
      ...['a b', 'a b, x,y', 'a\tn', 'n\n j', '"Col"', 'COL', 'ab,nn', 'xa a', 'a b'].flatMap((list) =>
        step(['q', `ignore=${list}`], `insert into t (id) values (2)`, { fn: 'logutriga' }),
      ),
    ],
  },
  {
    name: 'an update that changes nothing is logged',
    setup: `create table t (b text, id int, a int, primary key (a, id)); insert into t values ('b', 1, 2)`,
    steps: [
      ...step(['q'], 'update t set b = b'),
      ...step(['q', 'backup'], 'update t set b = b'),
      ...step(['q', 'ignore=id'], 'update t set b = b'),
      ...step(['q', 'pkey=b'], 'update t set b = b'),
    ],
  },
  {
    name: 'backup puts the row before an update into ev_extra2',
    setup: `create table t (id int primary key, a text, b text, d date); insert into t values (1, 'a&', null, '2020-01-02')`,
    steps: [
      ...step(['q', 'backup'], `update t set a = 'x', b = 'é', d = 'infinity'`),
      ...step(['q', 'backup', 'ignore=a'], `update t set b = 'x'`),
      ...step(['q', 'backup', 'ev_extra2=a'], `update t set b = 'x'`),
      ...step(['q', 'backup'], `insert into t values (2); delete from t`),
    ],
  },
  {
    name: 'when= decides whether there is an event',
    setup: `create table t (id int primary key, a text, ok bool); insert into t values (1, 'foo', true)`,
    steps: [
      ...step(['q', "when=a='foo'"], `insert into t values (2, 'foo'), (3, 'bar'); delete from t`),
      ...step(['q', 'when=ok'], 'insert into t values (2, null, null)'),
      ...step(['q', 'when=ok'], 'insert into t values (2, null, true), (3, null, false)'),
      ...step(['q', 'when=false', 'when=true'], 'insert into t values (2)'),
      ...step(['q', 'when=true', 'when=false'], 'insert into t values (2)'),
      ...[
        'id',
        "'t'",
        '',
        ' ',
        'null',
        'true,false',
        'generate_series(1,2)=1',
        'true where false',
        'true limit 1',
      ].flatMap((expr) => step(['q', `when=${expr}`], 'insert into t values (2)', { fn: 'logutriga' })),
    ],
  },
  {
    name: 'ev_*= takes the field from an expression over the row',
    setup: `create table t (id int primary key, a text, n numeric, "Col" text, "user" text, r int);
      insert into t values (1, 'a', 1.50, 'C', 'U', 8)`,
    steps: [
      ...[
        ['ev_type=id+1', 'ev_data=a', 'ev_extra1=n', 'ev_extra2=null', 'ev_extra3=Col', 'ev_extra4=user'],
        ['ev_extra3=true', "ev_extra4='x' || id"],
        ['ev_extra3=$$333$$', 'ev_extra4=$q$ a $q$ || a'],
        ["ev_extra3=E'a\\' b' || 'it''s a'", 'ev_extra4=/* a */ a -- a'],
        ['ev_type=1', 'ev_type=2'],
        ['ev_type=1/0', 'ev_type=2'],
        ['ev_type=1', 'ev_type=1/0'],
        ['when=false', 'ev_type=1/0'],
        ['ev_extra3=lower(a)||upper(a)', 'ev_extra4=cast(n as numeric(9,4))::text'],
        ['ev_extra3=1,2', 'ev_extra4=1 where false'],
        ['ev_extra3=generate_series(1,2)'],
        ['ev_extra3=', 'ev_extra4= '],
        ['ev_extra3=(select count(*) from t)', 'ev_extra4=(select max(id) from t)'],
        ['ev_extra3=array[id,id]', 'ev_extra4=row(id,a)'],
        ['ev_extra3=r', 'ev_extra4=(id > 0 and a is not null)'],
      ].flatMap((args) =>
        step(['q', ...args], `insert into t values (2, 'b', 2.50, 'D', 'V', 9)`, { fn: 'logutriga' }),
      ),
      ...step(['q', 'ev_extra3=n', 'ev_extra4=a', 'ev_extra2=id'], `update t set n = 2, a = 'z'`),
      ...step(['q', 'ev_extra3=n', 'ev_extra4=a', 'ev_extra2=id'], 'delete from t'),
      ...step(['q', 'ev_extra3=n', 'ev_extra4=a', 'ev_extra2=id'], 'delete from t', { when: 'before' }),
    ],
  },
  {
    name: 'an expression of the letter v alone is not empty',
    setup: `create table t (id int primary key, v text); insert into t values (1, 'a')`,
    steps: step(['q', 'ev_data=v', 'ev_extra3= v'], `insert into t values (2, 'b')`),
  },
  {
    name: 'magic columns replace the fields of the event',
    setup: `create table t (id int primary key, a text, n int, _pgq_ev_type text, _pgq_ev_extra1 text, _pgq_ev_data text,
        _pgq_ev_extra2 text, _pgq_ev_extra3 text, _pgq_ev_extra4 text);
      insert into t values (1, 'a', 1, 'T', 'E1', 'D', 'E2', 'E3', 'E4');
      create table few (id int primary key, _pgq_ev_extra3 text, a text); insert into few values (1, 'E3', 'a');
      create table unknown (id int primary key, _pgq_ev_foo text, a text); insert into unknown values (1)`,
    steps: [
      ...step(['q'], `insert into t values (2, 'a', 2)`),
      ...step(['q', 'backup'], 'update t set n = 5'),
      ...step(['q', 'ignore=n'], `update t set _pgq_ev_type = 'T2'`),
      ...step(['q'], `update t set _pgq_ev_type = 'T2'`),
      ...step(['q'], `update t set _pgq_ev_type = 'T2', n = 8`),
      ...step(['q', 'pkey=_pgq_ev_extra1'], 'update t set n = 5'),
      ...step(['q', 'ev_type=id', 'ev_data=_pgq_ev_type'], 'delete from t'),
      ...step(['q', 'ignore=_pgq_ev_type'], `delete from t`),
      ...step(['q'], `update few set a = 'b'; delete from few; insert into few values (4, null, 'z')`),
      ...step(['q'], 'insert into unknown values (2)'),
      ...step(['q', 'ignore=_pgq_ev_foo'], 'insert into unknown values (2)'),
      ...step(['q', 'when=false'], 'insert into unknown values (2)'),
      ...step(['q', 'deny'], 'insert into unknown values (2)'),
      ...step(['q'], 'update unknown set id = 7'),
      ...step(['q'], 'truncate unknown'),
    ],
  },
  {
    name: 'session_replication_role local does nothing at all',
    setup: `create table t (id int primary key, a text); insert into t values (1, 'a')`,
    steps: [['q', 'deny'], ['q', 'junk'], ['q', 'SKIP'], []].flatMap((args) =>
      ['before', 'after'].flatMap((when) => [
        ...step(args, `insert into t values (2); update t set id = id + 10; delete from t where id = 12`, {
          when: when as 'before',
          set: { session_replication_role: 'local' },
        }),
        ...step(args, 'truncate t', { when: when as 'before', set: { session_replication_role: 'local' } }),
      ]),
    ),
  },
  {
    name: 'session_replication_role replica: an ordinary trigger does not fire',
    setup: 'create table t (id int primary key, a text)',
    steps: step(['q'], 'insert into t values (1)', { set: { session_replication_role: 'replica' } }),
  },
  {
    name: 'partitions log under their own names and column order',
    setup: `create table t (id int, a text, primary key (id)) partition by range (id);
      create table t1 partition of t for values from (0) to (10);
      create table t2 (junk int, a text, id int not null); alter table t2 drop column junk;
      alter table t attach partition t2 for values from (10) to (20)`,
    steps: step(
      ['q', 'backup'],
      `insert into t values (1, 'a'), (11, 'b'); update t set a = 'c'; update t set id = 12
      where id = 1; delete from t`,
    ),
  },
  {
    name: 'INSTEAD OF a change to a view the event is all there is, with SKIP or without it',
    setup: `create table t (id int primary key, a text); insert into t values (1, 'a'); create view v as select * from t`,
    steps: [
      ['q'],
      ['q', 'SKIP'],
      ['q', 'pkey=id'],
      ['q', 'pkey=id', 'SKIP', 'backup'],
      ['q', 'pkey=id', 'deny'],
    ].flatMap((args) =>
      [`insert into v values (2, 'b')`, `update v set a = 'c'`, 'delete from v'].flatMap((run) =>
        step(args, run, { when: 'instead of' }),
      ),
    ),
  },
  {
    name: 'a table is logged as it is after an ALTER TABLE in the same session',
    setup: `create table t (id int primary key, a text, b int); insert into t values (1, 'a', 2);
      create schema "S 1"`,
    steps: [
      `update t set a = 'b'; alter table t add c date default '2001-01-01'; update t set a = 'c'`,
      `update t set a = 'b'; alter table t rename a to "A b"; alter table t drop b; update t set "A b" = null`,
      `update t set a = 'b'; alter table t drop constraint t_pkey, add primary key (b, id); update t set a = 'c'`,
      `update t set b = 3; alter table t alter b type numeric(9, 2); update t set b = 4`,
      `update t set a = 'b'; alter table t set schema "S 1"; alter table "S 1".t rename to "q""x.y";
        update "S 1"."q""x.y" set a = 'c'`,
    ].flatMap((run) => step(['q', 'backup'], run)),
  },
  {
    name: 'every way to change a row is logged: upsert, foreign key, CTE',
    setup: `create table t (id int primary key, a text); insert into t values (1, 'a');
      create table child (id int primary key, t int references t on update cascade on delete cascade);
      insert into child values (5, 1)`,
    steps: [
      ...step(
        ['q'],
        `insert into t values (1, 'x'), (2, 'y') on conflict (id) do update set a = excluded.a || '!'`,
      ),
      ...step(['q'], `insert into t values (1, 'x') on conflict do nothing`),
      ...step(
        ['q'],
        `with new as (insert into t values (3, 'c') returning id) update t set a = new.id::text from new`,
      ),
      ...step(['q'], 'update child set id = id; delete from t'),
    ],
  },
  {
    name: 'text compares by the collation of its column',
    setup: `create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      create table t (id text collate ci primary key, a text collate ci, b text);
      insert into t values ('k', 'a', 'b')`,
    steps: [
      ...step(['q'], `update t set id = 'K', a = 'x y'`),
      ...step(['q', 'ignore=b'], `update t set a = 'A', b = 'B'`),
      ...step(['q', 'ignore=b'], `update t set a = 'C', b = 'B'`),
      ...step(['q'], `update t set id = 'L'`),
    ],
  },
];

import type pg from 'pg';
import { expect, it } from 'vitest';
import { addTable } from '../../../lib/londiste/admin/tables.ts';
import { copyStep } from '../../../lib/londiste/copy/copy.ts';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { BusyError } from '../../../lib/platform/errors.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { type Cascade, cascade, QUEUE, rowsOf } from './cascade.ts';

/** A set whose nodes have a table, in sync. */
async function withTable(
  create: string,
  types: ('branch' | 'leaf')[] = ['leaf'],
  settings: Record<string, unknown> = {},
): Promise<Cascade> {
  const set = await cascade(types, settings);
  for (const node of set.nodes) await node.query(create);
  await set.add('item', { expectSync: true });
  return set;
}

const ITEM = 'create table public.item (id int primary key, name text)';

const same = async (set: Cascade, table = 'item') =>
  expect(await rowsOf(set.leaf, table)).toEqual(await rowsOf(set.root, table));

/** A scope in which something happens around one statement at a node. */
function around(
  set: Cascade,
  node: TestDatabase,
  wanted: (statement: string) => boolean,
  happens: (client: pg.Client, run: () => Promise<unknown>) => Promise<unknown>,
): NodeScope {
  return {
    ...set.scope,
    database: (name, body) =>
      set.scope.database(name, (client) => {
        if (name === node.name) {
          const query = client.query.bind(client) as (...parameters: unknown[]) => Promise<unknown>;
          client.query = ((...parameters: unknown[]) =>
            typeof parameters[0] === 'string' && wanted(parameters[0])
              ? happens(client, () => query(...parameters))
              : query(...parameters)) as typeof client.query;
        }
        return body(client);
      }),
  };
}

it('fault 2: a batch that the tables refuse stops its own node alone, says why, and goes on once it is mended', async () => {
  const set = await withTable(ITEM, ['branch', 'leaf']);
  await set.leaf.query('alter table item add check (id <> 7)');
  await set.root.query(`insert into item values (6, 'a'), (7, 'b')`);
  await set.tick();
  await replayBatch(set.scope, set.nodes[1]!.name, QUEUE);
  await expect(replayBatch(set.scope, set.leaf.name, QUEUE)).rejects.toMatchObject({
    code: 'LONDISTE_EVENT_REFUSED',
  });
  await set.root.query(`insert into item values (8, 'c')`);
  await set.tick();
  await replayBatch(set.scope, set.nodes[1]!.name, QUEUE);
  expect(await rowsOf(set.nodes[1]!, 'item')).toEqual(await rowsOf(set.root, 'item'));
  const state = `select cur_error from pgq_node.local_state where consumer_name like '%worker'`;
  expect((await set.leaf.query<{ cur_error: string }>(state))[0]!.cur_error).toContain('public.item');
  await set.leaf.query('alter table item drop constraint item_id_check');
  await set.replay();
  await same(set);
  expect(await set.leaf.query(state)).toEqual([{ cur_error: null }]);
});

it('fault 3: a connection that the server ends in the middle of a batch leaves nothing of it', async () => {
  const set = await withTable(ITEM);
  await set.root.query(`insert into item select g, 'row' from generate_series(1, 200) g`);
  await set.tick();
  const scope = around(
    set,
    set.leaf,
    (statement) => statement.includes('set_consumer_completed'),
    async (client, run) => {
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
      await set.leaf.query(`select pg_terminate_backend(${rows[0]!.pid}, 10000)`);
      return run();
    },
  );
  await expect(replayBatch(scope, set.leaf.name, QUEUE)).rejects.toThrow();
  expect(await rowsOf(set.leaf, 'item')).toEqual([]);
  await set.replay();
  await same(set);
});

it('fault 4: a COMMIT whose answer is lost is not applied again', async () => {
  const set = await withTable('create table public.item (id serial primary key, name text)');
  await set.root.query(`insert into item (name) values ('once'); update item set name = name || '!'`);
  await set.tick();
  let lost = 0;
  const scope = around(
    set,
    set.leaf,
    (statement) => /(^|; )commit$/.test(statement),
    async (client, run) => {
      const answer = await run();
      if ((await rowsOf(set.leaf, 'item')).length === 0) return answer;
      lost++;
      (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
      throw new Error('Connection terminated unexpectedly');
    },
  );
  await expect(replayBatch(scope, set.leaf.name, QUEUE)).rejects.toMatchObject({ code: 'PG_COMMIT_UNKNOWN' });
  expect(lost).toBe(1);
  // The provider was not told: its batch is open, and found applied.
  expect((await replayBatch(set.scope, set.leaf.name, QUEUE)).did).toMatchObject({
    skipped: true,
    events: 0,
  });
  await same(set);
  expect(await set.leaf.query('select missing_rows from londiste.table_health')).toEqual([]);
});

it('fault 5: a replay that another has overtaken since it looked at the position ends quietly', async () => {
  const set = await withTable(ITEM);
  const change = async (n: number) => {
    await set.root.query(`insert into item values (${n}, 'row')`);
    await set.tick();
  };
  await change(1);
  let overtaken = false;
  const scope = around(
    set,
    set.root,
    (statement) => statement.includes('next_batch_custom') && !overtaken,
    async (_client, run) => {
      overtaken = true;
      await set.replay();
      await change(2);
      return run();
    },
  );
  await expect(replayBatch(scope, set.leaf.name, QUEUE)).rejects.toBeInstanceOf(BusyError);
  expect(await set.leaf.query(`select cur_error from pgq_node.local_state`)).toEqual([{ cur_error: null }]);
  await set.replay();
  await same(set);
});

it('fault 5: of several workers at the chunks of one table each takes another, and every row comes once', async () => {
  const set = await cascade(['leaf'], { chunkBytes: 8192 });
  await set.root.query(
    `${ITEM}; insert into item select g, 'row ' || g from generate_series(1, 3000) g; analyze item`,
  );
  await set.add('item', { create: 'plain' });
  const step = () => copyStep(set.scope, set.leaf.name, QUEUE, 'public.item');
  const state = async () =>
    (await set.leaf.query<{ merge_state: string | null }>('select merge_state from londiste.table_info'))[0]!
      .merge_state;
  // Several plans at once, too: one is stored.
  while ((await state()) === null) await Promise.allSettled([step(), step(), step()]);
  const chunks = await set.leaf.query<{ n: number }>('select count(*)::int4 as n from londiste.copy_chunk');
  expect(chunks[0]!.n).toBeGreaterThan(4);
  while ((await state()) === 'in-copy') {
    const ended = await Promise.allSettled([step(), step(), step(), step()]);
    for (const each of ended) if (each.status === 'rejected') expect(each.reason).toBeInstanceOf(BusyError);
  }
  expect(await set.leaf.query('select sum(rows)::int4 as n from londiste.copy_chunk')).toEqual([{ n: 3000 }]);
  await set.copy();
  await same(set);
});

it('fault 6: a transaction that spans ticks arrives when it has committed; what was rolled back never does', async () => {
  const set = await withTable(ITEM);
  const [long, failed] = [await set.root.connect(), await set.root.connect()];
  await long.query(
    `begin; insert into item values (1, 'long'); savepoint s; insert into item values (2, 'undone'); rollback to s`,
  );
  await failed.query(`begin; insert into item values (3, 'never')`);
  for (let n = 10; n < 13; n++) {
    await set.root.query(`insert into item values (${n}, 'quick')`);
    await set.tick();
    await set.replay();
  }
  await long.query(
    `savepoint t; insert into item values (4, 'kept'); release t; update item set name = 'later' where id = 10`,
  );
  await failed.query('rollback');
  expect((await rowsOf(set.leaf, 'item')).length).toBe(3);
  await long.query('commit');
  await set.tick();
  await set.replay();
  await same(set);
  expect((await rowsOf(set.leaf, 'item')).length).toBe(5);
});

it('fault 7: events wait for a subscriber that is behind, however often the tables want to rotate', async () => {
  const set = await withTable(ITEM);
  await set.root.query(`update pgq.queue set queue_rotation_period = '0'`);
  for (let n = 0; n < 6; n++) {
    await set.root.query(`insert into item values (${n}, 'early')`);
    await set.tick();
    await set.root.query(`select pgq.maint_rotate_tables_step1('${QUEUE}')`);
    await set.root.query('select pgq.maint_rotate_tables_step2()');
  }
  const blockers = await set.root.query<{ who: string }>(
    `select b::text as who from pgq.rotation_blockers() b`,
  );
  expect(blockers.map(({ who }) => who).join()).toContain('n2_worker');
  await set.replay();
  await same(set);
});

/** Columns of every kind, and two rows of values that are easily lost. */
const TYPES: readonly [column: string, one: string, other: string][] = [
  ['a int2', '-32768', 'null'],
  ['b int8', '9223372036854775807', '-9223372036854775808'],
  ['c numeric', `'NaN'`, '123456789012345678901234567890.000000000000001'],
  ['d float8', `'-Infinity'`, '1e-307'],
  ['e float4', `'NaN'`, '3.4028235e38'],
  ['f text', `''`, `E'tab\\t line\\n back\\\\ quote'' é 東京 %25 +&='`],
  ['g bytea', String.raw`'\x00ff5c27'`, `''`],
  ['h bool', 'true', 'false'],
  ['i date', `'infinity'`, `'0044-03-15 BC'`],
  ['j timestamptz', `'-infinity'`, `'4713-01-01 00:00:00.123456+00 BC'`],
  ['k interval', `'-1 year 2 months -3 days 04:05:06.789'`, `'0'`],
  ['l jsonb', `'{"a": [1, null, "\\u00e9"]}'`, `'null'`],
  ['m json', `'{ "spaced" : 1 }'`, `'"x"'`],
  ['n int[]', `'{{1,2},{3,null}}'`, `'{}'`],
  ['o text[]', `array['a,b', '"q"', null, '']`, `'[2:3]={x,y}'`],
  ['p uuid', `'00000000-0000-0000-0000-000000000000'`, 'null'],
  ['q inet', `'::1/128'`, `'10.0.0.0/8'`],
  ['r int4range', `'[1,5)'`, `'empty'`],
  ['s mood', `'so so'`, `'sad'`],
  ['t positive', '1', 'null'],
  ['u pair', `row(1, 'x,y')`, `row(null, '')`],
  ['"Odd ""name"" é" text', `'quoted'`, `'null'`],
  ['"2021" text', `'five'`, 'null'],
  ['"2020" text', `'six'`, `'seven'`],
  ['v bit varying', `B'101'`, `B''`],
  ['w money', `'$1.50'`, `'-$0.01'`],
  ['x tsvector', `'a:1 b:2'`, `''`],
  ['y point', `'(1.5,-2)'`, `'(0,0)'`],
  ['z xml', `'<a b="1"/>'`, `'text'`],
];

it.each([
  ['logutriga', []],
  ['jsontriga', ['tgflags=J']],
  ['sqltriga', ['tgflags=Q']],
])(
  'fault 9: values of every type arrive as they are by %s, generated and identity columns too',
  async (_name, triggerArgs) => {
    const set = await cascade();
    for (const node of set.nodes) {
      await node.query(
        `create type mood as enum ('sad', 'so so'); create domain positive as int check (value > 0); create type pair as (n int, t text)`,
      );
      await node.query(`create table public.item (id int generated always as identity primary key, ${TYPES.map(([column]) => column).join(', ')},
      doubled int generated always as (a * 2) stored)`);
    }
    await set.add('item', { expectSync: true, triggerArgs });
    const columns = TYPES.map(([column]) => column.replace(/ [^"]*$/, '')).join(', ');
    const [one, other] = [
      TYPES.map(([, value]) => value).join(', '),
      TYPES.map(([, , value]) => value).join(', '),
    ];
    await set.root.query(
      `insert into item (${columns}) values (${one}), (${other}), (${TYPES.map(() => 'null').join(', ')})`,
    );
    await set.tick();
    await set.replay();
    await same(set);
    await set.root.query(
      `update item set (${columns}) = row(${other}) where id in (1, 3); update item set (${columns}) = row(${one}) where id = 2`,
    );
    await set.tick();
    await set.replay();
    await same(set);
    await set.root.query('delete from item where id < 3');
    await set.tick();
    await set.replay();
    await same(set);
  },
);

it('fault 10: foreign keys, deferred constraints and triggers of the subscriber do not stand in the way', async () => {
  const set = await cascade();
  for (const node of set.nodes) {
    await node.query(`create table public.item (id int primary key, name text, twin int unique deferrable initially deferred);
      create table public.part (id int primary key, item int references item deferrable initially deferred)`);
  }
  await set.leaf.query(`create table fired (what text); create function note() returns trigger language plpgsql as
      $$ begin insert into fired values (tg_op); return null; end $$;
    create trigger note after insert or update or delete on item for each row execute function note()`);
  await set.add('item', { expectSync: true });
  await set.add('part', { expectSync: true });
  // A part before its item, and unique values that change places.
  await set.root.query(
    `begin; insert into part values (1, 1); insert into item values (1, 'a', 1), (2, 'b', 2); commit`,
  );
  await set.root.query(
    `begin; update item set twin = 3 - twin; delete from item where id = 1; delete from part; commit`,
  );
  await set.tick();
  await set.replay();
  await same(set);
  await same(set, 'part');
  const method = await set.leaf.query<{ can: boolean }>('select londiste.can_set_replication_role() as can');
  if (method[0]!.can) expect(await set.leaf.query('select * from fired')).toEqual([]);
});

it('fault 10: TRUNCATE takes its place among the changes, and is left out where the handler says so', async () => {
  const set = await withTable(ITEM);
  for (const node of set.nodes) await node.query('create table public.kept (id int primary key, name text)');
  for (const node of set.nodes) {
    await set.scope.database(node.name, (client) =>
      addTable(set.scope, client, {
        queue: QUEUE,
        table: 'kept',
        expectSync: true,
        handlerArguments: node === set.leaf ? { ignore_truncate: '1' } : {},
      }),
    );
  }
  await set.root.query(`insert into item values (1, 'before'); insert into kept values (1, 'before')`);
  await set.root.query('truncate item, kept');
  await set.root.query(`insert into item values (2, 'after'); insert into kept values (2, 'after')`);
  await set.tick();
  await set.replay();
  await same(set);
  expect(await rowsOf(set.leaf, 'kept')).toEqual(['(1,before)', '(2,after)']);
});

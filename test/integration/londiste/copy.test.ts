import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AddTable, addTable, resyncTable } from '../../../lib/londiste/admin/tables.ts';
import { copyStep } from '../../../lib/londiste/copy/copy.ts';
import { copyProgress } from '../../../lib/londiste/copy/progress.ts';
import { copyWork } from '../../../lib/londiste/copy/work.ts';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { replayBatch } from '../../../lib/londiste/replay/replay.ts';
import { until } from '../../support/cluster.ts';
import { type Cascade, cascade, QUEUE, rowsOf } from './cascade.ts';
import { dying } from './dying.ts';

/** Small chunks, so that a few hundred rows make several. */
const CHUNKS = { chunkBytes: 8192 };
const LONG = process.env.SKYTOOLS_TEST_LONG === '1';

const step = (set: Cascade, table = 'public.item', chunksForMs?: number) =>
  copyStep(set.scope, set.leaf.name, QUEUE, table, chunksForMs);
const ranges = async (set: Cascade) =>
  (await set.leaf.query<{ ranges: string }>('select ranges from londiste.copy_job order by job_id')).map(
    (row) => row.ranges,
  );
const settle = async (set: Cascade) => {
  await set.copy();
  await set.tick();
  await set.replay();
};

describe('model: a copy under random changes, in random order of chunks, with crashes and repeats', () => {
  it('ends as its source ends, cut by blocks and by keys', { timeout: 600_000 }, async () => {
    const set = await cascade(['leaf'], CHUNKS);
    // The events of the second leave unchanged columns out: it is cut by keys.
    const tables = ['public.item', 'public.pair'];
    for (const node of set.nodes)
      await node.query(`create table item (id int primary key, code int unique, name text);
        create table pair (a text, b uuid, code int, name text, primary key (a, b)); create unique index on pair (code) where code > 0`);
    await set.add('item');
    await set.add('pair', { triggerArgs: ['tgflags=Q'] });
    const change = (n: number) => {
      const [id, other] = [n % 251, (n * 7) % 251];
      return [
        `insert into item values (${id}, ${1000 + n}, repeat('n', ${n % 300})) on conflict do nothing`,
        `update item set name = name || repeat('m', ${n % 200}) where id in (${id}, ${other})`,
        `delete from item where id % 17 = ${n % 17}`,
        `with gone as (delete from item where id = ${id} returning *) insert into item select ${other} + 500, code, name from gone on conflict (id) do nothing`,
        `insert into pair values ('${id}', md5('${other}')::uuid, ${2000 + n}, repeat('x', ${n % 300})) on conflict do nothing`,
        `update pair set name = repeat('y', ${n % 400}), code = -code where a >= '${id}' and b > md5('${n}')::uuid and code > 0`,
        `delete from pair where a = '${id}'`,
        `update item set code = 100000 + code where id = ${id} and code < 100000`,
      ][n % 8]!;
    };
    const random = fc.array(fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: 100_000 })), {
      minLength: 30,
      maxLength: 80,
    });
    await fc.assert(
      fc.asyncProperty(random, async (moves) => {
        await set.root.query(`truncate item, pair; insert into item select i, i, repeat('o', 150) from generate_series(0, 250) i;
          insert into pair select i, md5(i::text)::uuid, i + 1, repeat('p', 150) from generate_series(0, 250) i; analyze item, pair`);
        for (const table of tables)
          await set.scope.database(set.leaf.name, (client) => resyncTable(set.scope, client, QUEUE, table));
        for (const [kind, n] of moves) {
          const table = tables[n % 2]!;
          // What one step refuses another repeats; only the end counts.
          const quietly = (work: Promise<unknown>) => work.catch(() => {});
          if (kind < 4)
            await quietly(
              set.root.query(Array.from({ length: 1 + (n % 3) }, (_, i) => change(n + i)).join(';')),
            );
          else if (kind < 7)
            await Promise.allSettled([step(set, table, n % 30), step(set, tables[(n + 1) % 2])]);
          else if (kind === 7)
            await quietly(copyStep(dying(set, 1 + (n % 40)).scope, set.leaf.name, QUEUE, table, n % 60));
          else if (kind === 8)
            await set.leaf.query(
              `update londiste.copy_chunk c set nr = 1000 + r.nr from (select job_id, nr as old, row_number() over (order by md5(nr || '${n}')) as nr from londiste.copy_chunk where done is null and nr < 1000) r where c.job_id = r.job_id and c.nr = r.old and not exists (select from londiste.copy_chunk where nr >= 1000)`,
            );
          else {
            await set.tick();
            await quietly(replayBatch(set.scope, set.leaf.name, QUEUE));
          }
        }
        for (const node of set.nodes) await node.quiet();
        await settle(set);
        for (const table of tables)
          expect(await rowsOf(set.leaf, table)).toEqual(await rowsOf(set.root, table));
      }),
      { numRuns: LONG ? 10 : 2, seed: 7, endOnFailure: true },
    );
    const indexes = `select indexdef from pg_indexes where tablename in ('item', 'pair') order by 1`;
    expect(await set.leaf.query(indexes)).toEqual(await set.root.query(indexes));
  });
});

describe('the ranges of a copy', () => {
  it.each([
    ['block', 'events with whole rows', []],
    ['block', 'generated triggers', ['fast']],
    ['key', 'an ignored column', ['ignore=name']],
    ['key', 'a condition', ["when=name <> 'x'"]],
    ['key', 'fragments of SQL', ['tgflags=Q']],
  ])('are of %ss where the source has %s', async (expected, _name, triggerArgs) => {
    const set = await cascade(['leaf'], CHUNKS);
    for (const node of set.nodes) await node.query('create table item (id int primary key, name text)');
    await set.root.query(`insert into item select i, repeat('n', 100) from generate_series(1, 400) i`);
    await set.add('item', { triggerArgs });
    expect((await step(set)).did.step).toBe('planned');
    expect(await ranges(set)).toEqual([expected]);
    await settle(set);
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });

  it('are of keys where the source is a branch, whose events came from other triggers than its own', async () => {
    const set = await cascade(['branch', 'leaf'], CHUNKS);
    for (const node of set.nodes) await node.query('create table item (id int primary key, name text)');
    await set.root.query(`insert into item select i, repeat('n', 100) from generate_series(1, 200) i`);
    await set.add('item');
    await set.copy(1);
    expect((await step(set)).did.step).toBe('planned');
    expect(await ranges(set)).toEqual(['key']);
  });

  it('hold rows moved by a transaction that was running when they were cut', async () => {
    const set = await cascade(['leaf'], CHUNKS);
    for (const node of set.nodes) await node.query('create table item (id int primary key, name text)');
    await set.root.query(`insert into item select i, repeat('n', 100) from generate_series(1, 400) i`);
    await set.add('item');
    const long = await set.root.connect();
    await long.query('begin; savepoint s; update item set name = name || $$!$$ where id < 50');
    expect((await step(set)).did).toMatchObject({ step: 'planned' });
    await step(set);
    await long.query('commit');
    await settle(set);
    expect(await set.leaf.query('select id from item group by id having count(*) > 1')).toEqual([]);
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });
});

describe('a source that is altered during the copy', () => {
  const begun = async () => {
    const set = await cascade(['leaf'], CHUNKS);
    for (const node of set.nodes) await node.query('create table item (id int primary key, name text)');
    await set.root.query(`insert into item select i, repeat('n', 100) from generate_series(1, 400) i`);
    await set.add('item');
    for (let n = 0; n < 3; n++) await step(set);
    return set;
  };

  it.each([
    ['emptied', 'truncate item; insert into item values (1, $$new$$)'],
    ['written anew', 'cluster item using item_pkey'],
    ['rewritten by a change of a type', 'alter table item alter id type int8'],
  ])('by being %s is copied as it is then', async (_name, statement) => {
    const set = await begun();
    await set.root.query(statement);
    await settle(set);
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });

  it('by a new column waits for it here, then begins again', async () => {
    const set = await begun();
    await set.root.query(`alter table item add note text default 'n'`);
    expect((await step(set)).did.step).toBe('begun-again');
    await step(set);
    await expect(step(set)).rejects.toMatchObject({ code: 'LONDISTE_COLUMN_MISSING' });
    await set.leaf.query('alter table item add note text');
    await settle(set);
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });

  it('by a script, whose changes are no events, is copied again by keys', async () => {
    const set = await begun();
    await set.root.query(`begin; select londiste.set_session_replication_role('local', true);
      select londiste.execute_start('${QUEUE}', 'fix', 'update item set name = ''fixed''', true);
      update item set name = 'fixed'; select londiste.execute_finish('${QUEUE}', 'fix'); commit`);
    await until('the new beginning', async () => {
      const { did } = await step(set);
      await set.tick();
      await set.replay();
      return did.step === 'begun-again';
    });
    await step(set);
    expect(await ranges(set)).toEqual(['key']);
    await settle(set);
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });
});

describe('catching up', () => {
  /** Copied, and its node many small ticks ahead. */
  const behind = async () => {
    const set = await cascade(['leaf'], CHUNKS);
    for (const node of set.nodes) await node.query('create table item (id int primary key, name text)');
    await set.root.query(`insert into item select i, repeat('n', 100) from generate_series(1, 200) i`);
    await set.add('item');
    for (let did = ''; did !== 'copied'; did = (await step(set)).did.step);
    return set;
  };
  const change = async (set: Cascade, ticks: number) => {
    for (let n = 0; n < ticks; n++) {
      await set.root.query(
        `insert into item values (${1000 + n}, 'new') on conflict (id) do update set name = 'newer';
         update item set name = name || '.' where id % 7 = 0; delete from item where id = ${n}`,
      );
      await set.tick();
    }
    // As if one had come every second.
    await set.root.query(
      `update pgq.tick set tick_time = '2026-01-01'::timestamptz + tick_id * interval '1 second'`,
    );
  };
  const positions = async (set: Cascade) =>
    Object.fromEntries(
      (
        await set.leaf.query<{ who: string; tick: number }>(
          `select case when consumer_name ~ 'copy' then 'copy' else 'node' end as who, last_tick_id::int4 as tick from pgq_node.local_state`,
        )
      ).map(({ who, tick }) => [who, tick]),
    );

  it('takes many small ticks in few batches', async () => {
    const set = await behind();
    await change(set, 60);
    await set.replay();
    const batches = async () =>
      (await set.root.query<{ n: number }>(`select last_value::int4 as n from pgq.batch_id_seq`))[0]!.n;
    const before = await batches();
    expect((await step(set)).did.step).toBe('in-sync');
    expect((await batches()) - before).toBeLessThan(15);
    await settle(set);
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });

  it('fault: the source is many ticks ahead of the node, and no batch goes beyond where the node stands', async () => {
    const set = await behind();
    await change(set, 20);
    for (let n = 0; n < 5; n++) await replayBatch(set.scope, set.leaf.name, QUEUE);
    await set.leaf.query(`create function check_position() returns trigger language plpgsql as $$
      begin
        if new.last_tick_id > (select last_tick_id from pgq_node.local_state where consumer_name !~ 'copy') then
          raise 'beyond the node';
        end if;
        return new;
      end $$;
      create trigger check_position after update on pgq_node.local_state for each row
        when (new.consumer_name ~ 'copy') execute function check_position();
      alter table pgq_node.local_state enable always trigger check_position`);
    const { node } = await positions(set);
    expect((await step(set)).did.step).toBe('in-sync');
    expect(await positions(set)).toEqual({ node });
    await settle(set);
    expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
  });

  it('fault: a script comes behind the tick from which on the table is exact, and the copy is not begun again for it', async () => {
    const set = await behind();
    await set.tick();
    await set.tick();
    await set.root.query(`begin; select londiste.set_session_replication_role('local', true);
      select londiste.execute_start('${QUEUE}', 'fix', 'update item set name = ''fixed''', true);
      update item set name = 'fixed'; select londiste.execute_finish('${QUEUE}', 'fix'); commit`);
    await set.tick();
    await change(set, 40);
    await set.replay();
    expect((await step(set)).did.step).not.toBe('begun-again');
  });
});

describe('a message that comes late', () => {
  it.each([
    ['while the copy is ended', `delete from pgq_node.local_state where consumer_name ~ 'copy'`],
    ['when its job is forgotten', 'delete from londiste.copy_job'],
  ])('ends quietly %s, and one whose table is stuck complains', async (_name, statement) => {
    const set = await cascade(['leaf'], CHUNKS);
    for (const node of set.nodes) await node.query('create table item (id int primary key, name text)');
    await set.add('item');
    for (let state = ''; state !== 'catching-up'; ) {
      await step(set);
      state = (await set.leaf.query<{ s: string }>('select merge_state as s from londiste.table_info'))[0]!.s;
    }
    // The other one comes between two statements of this one.
    const late: NodeScope = {
      ...set.scope,
      database: (name, body) =>
        set.scope.database(name, async (client) => {
          const query = client.query.bind(client);
          client.query = (async (...parameters: Parameters<typeof query>) => {
            const answer = await (query(...parameters) as unknown as Promise<unknown>);
            if (/from londiste.table_info/.test(`${parameters[0]}`) && name === set.leaf.name)
              await query(`${statement}; update londiste.table_info set merge_state = 'ok'`);
            return answer;
          }) as unknown as typeof client.query;
          return body(client);
        }),
    };
    expect((await copyStep(late, set.leaf.name, QUEUE, 'public.item')).did.step).toBe('nothing');
    await set.leaf.query(`update londiste.table_info set merge_state = 'catching-up'`);
    await expect(step(set)).rejects.toMatchObject({ code: expect.stringMatching(/^LONDISTE_/) });
  });
});

it('a table that the provider does not have comes from the nearest node above that has it (copy_node=?)', async () => {
  const set = await cascade(['branch', 'leaf'], CHUNKS);
  for (const node of [set.root, set.leaf])
    await node.query('create table item (id int primary key, name text)');
  await set.root.query(`insert into item select i, repeat('n', 100) from generate_series(1, 400) i`);
  const add = (node: (typeof set)['root'], options: Partial<AddTable>) =>
    set.scope.database(node.name, (client) =>
      addTable(set.scope, client, { queue: QUEUE, table: 'item', ...options }),
    );
  await add(set.root, {});
  await set.tick();
  await set.replay();
  await add(set.leaf, { copyNode: '?' });
  await step(set);
  expect(await set.leaf.query('select source_node from londiste.copy_job')).toEqual([{ source_node: 'n1' }]);
  await set.root.query(`update item set name = 'changed' where id < 100`);
  await settle(set);
  expect(await rowsOf(set.leaf, 'item')).toEqual(await rowsOf(set.root, 'item'));
});

describe('many copies', () => {
  it('keep to the limit of their node, show how far they are, and a refused index is named and made later', async () => {
    const set = await cascade(['leaf'], { ...CHUNKS, parallelCopies: 2 });
    const names = Array.from({ length: 6 }, (_, n) => `t${n}`);
    for (const node of set.nodes)
      for (const name of names)
        await node.query(`create table ${name} (id int primary key, name text, code int)`);
    for (const name of names) {
      await set.root.query(
        `insert into ${name} select i, repeat('n', 100), 1 from generate_series(1, 200) i`,
      );
      await set.add(name);
    }
    await set.leaf.query('create unique index t0_code on t0 (code)');
    await Promise.all(names.map((name) => step(set, `public.${name}`).catch(() => {})));
    await Promise.all(names.map((name) => step(set, `public.${name}`).catch(() => {})));
    const progress = await set.scope.database(set.leaf.name, copyProgress);
    expect(progress.length).toBe(2);
    expect(progress.some(({ percent, rows }) => percent! > 0 && percent! < 100 && rows > 0n)).toBe(true);
    await expect(set.copy()).rejects.toMatchObject({ code: 'COPY_NOT_PUT_BACK' });
    const refused = (await set.scope.database(set.leaf.name, copyProgress)).find(({ problem }) => problem);
    expect(refused).toMatchObject({ table: 'public.t0', state: 'catching-up' });
    expect(refused!.problem).toMatch(/23505/);
    await set.root.query('update t0 set code = id');
    await set.tick();
    await set.replay();
    // The batch that mends the rows is replayed although the index is refused once more.
    await step(set, 'public.t0').catch(() => {});
    await settle(set);
    for (const name of names) expect(await rowsOf(set.leaf, name)).toEqual(await rowsOf(set.root, name));
  });
});

it('a table in sync hands its place to the next one, without a tick between', async () => {
  const set = await cascade(['leaf'], { parallelCopies: 1 });
  for (const name of ['one', 'two']) {
    for (const node of set.nodes) await node.query(`create table ${name} (id int primary key)`);
    await set.add(name);
  }
  const place = { v: 1, database: set.leaf.name, queue: QUEUE } as const;
  const copy = (name: string) => ({ ...place, kind: 'copy', table: `public.${name}` }) as const;
  expect((await copyWork(set.scope, copy('one'))).did.step).toBe('planned');
  // Its place is taken.
  expect(await copyWork(set.scope, copy('two'))).toEqual({ did: { step: 'nothing' }, wake: [] });
  await until('the copy', async () => {
    const { did, wake } = await copyWork(set.scope, copy('one'));
    if (did.step === 'in-sync') {
      expect(wake).toEqual([{ ...place, kind: 'replay' }, copy('two')]);
      return true;
    }
    await set.tick();
    await set.replay();
    return false;
  });
  expect((await copyWork(set.scope, copy('two'))).did.step).toBe('planned');
});

describe('values of every kind', () => {
  it.each(['same types', 'other types'])('arrive as they are (%s here)', async (kind) => {
    const set = await cascade(['leaf'], CHUNKS);
    const types = `create type mood as enum ('sad', 'glad'); create domain small as int check (value < 100);
      create type point3 as (x int, y numeric, label mood); create type span as range (subtype = numeric)`;
    const create = (
      text: string,
    ) => `create table "Odd ""Name" (id int primary key, n numeric, f float8, d date, ts timestamptz, b bytea,
      a int[], j jsonb, m mood, s small, p point3, r span, e ${text}, "Ü" text, g int generated always as (id * 2) stored,
      i int generated always as identity, cls regclass)`;
    for (const node of set.nodes) await node.query(types);
    await set.root.query(create('text'));
    await set.leaf.query(create(kind === 'same types' ? 'text' : 'varchar(90)'));
    await set.root.query(`insert into "Odd ""Name" (id, n, f, d, ts, b, a, j, m, s, p, r, e, "Ü", cls) values
      (1, 'NaN', 'Infinity', '4713-01-01 BC', '-infinity', '\\x00ff', '{1,NULL,3}', '{"a": "\\u00e9"}', 'glad', 7, '(1,2.5,sad)', '[1,NaN)', '', 'ü€𝄞', 'pg_class'),
      (2, '-Infinity', 'NaN', 'infinity', '0044-03-15 BC', '', '{}', 'null', null, null, null, 'empty', null, E'tab\\t\\\\.\\n', null),
      (3, 1e130, 5e-324, '5874897-12-31', '294276-12-31', null, '{{1,2},{3,4}}', '1', 'sad', 99, '(,,)', '(,)', 'x', '\\N', 'pg_type')`);
    await set.add('Odd "Name');
    await settle(set);
    const rows = await rowsOf(set.root, '"Odd ""Name"');
    expect(rows.length).toBe(3);
    expect(await rowsOf(set.leaf, '"Odd ""Name"')).toEqual(rows);
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  type CopyOrder,
  cancelOrder,
  orderStep,
  parseOrder,
  placeOrder,
} from '../../../lib/londiste/copy/order.ts';
import { copyWork } from '../../../lib/londiste/copy/work.ts';
import type { NodeScope } from '../../../lib/londiste/place.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { Deadline } from '../../../lib/platform/deadline.ts';
import { parseTarget } from '../../../lib/postgres/target.ts';
import { WarmConnections } from '../../../lib/postgres/warm.ts';
import { skytools } from '../../support/cli.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { rowsOf } from './cascade.ts';

/* Copies on demand, without a set: paris to berlin. */

let paris: TestDatabase;
let berlin: TestDatabase;
let scope: NodeScope;
let run: (...argv: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;

beforeEach(async () => {
  [paris, berlin] = [await testDatabase(), await testDatabase()];
  const urls: Record<string, string> = { paris: paris.url, berlin: berlin.url };
  const databases = Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, { url }]));
  const directory = mkdtempSync(path.join(tmpdir(), 'skytools-copy-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const config = path.join(directory, 'config.json');
  writeFileSync(config, JSON.stringify({ databases }));
  run = (...argv) => skytools(['--config', config, 'copy', ...argv]);
  const connections = new WarmConnections();
  onTestFinished(() => connections.close());
  scope = {
    config: parseConfig({ databases }),
    deadline: Deadline.after(300_000),
    database: (name, body) => connections.use(name, parseTarget(urls[name]!), body),
  };
});

const place = (order: Partial<CopyOrder>) =>
  scope.database('berlin', (target) =>
    placeOrder(
      scope,
      target,
      parseOrder({ name: 'o', from: 'paris', tables: ['item'], chunkBytes: 8192, ...order }),
    ),
  );

/** Steps a copy to its end; what it did. */
async function finish(job: bigint): Promise<string[]> {
  const steps: string[] = [];
  for (;;) {
    const { did, next } = await orderStep(scope, 'berlin', job);
    steps.push(did.step);
    if (next !== 'again') return steps;
  }
}

const ITEM = 'create table item (id int primary key, name text, code int)';
const fill = (rows: number) =>
  paris.query(
    `insert into item select i, repeat('x', 100), i from generate_series(1, ${rows}) i; analyze item`,
  );

describe('skytools copy', () => {
  it('makes the tables as they are and copies them, and says what a chunk is worth', async () => {
    await paris.query(`${ITEM}; create index item_code on item (code); comment on table item is 'things'`);
    await fill(500);
    const dry = await run(
      'item',
      '--from',
      'paris',
      '--to',
      'berlin',
      '--create-full',
      '--dry-run',
      '--json',
    );
    expect(JSON.parse(dry.stdout)).toMatchObject([{ source: 'public.item', make: true, chunks: 1 }]);
    expect(await berlin.query(`select to_regclass('item') as t`)).toEqual([{ t: null }]);
    const done = await run('item', '--from', 'paris', '--to', 'berlin', '--create-full');
    expect(done).toMatchObject({ code: 0 });
    expect(done.stderr).toContain('as of one moment');
    expect(done.stderr).toContain('public.item: 500 rows');
    expect(await rowsOf(berlin, 'item')).toEqual(await rowsOf(paris, 'item'));
    const shape = `select indexdef from pg_indexes where tablename = 'item' order by 1`;
    expect(await berlin.query(shape)).toEqual(await paris.query(shape));
    expect(await berlin.query(`select obj_description('item'::regclass) as c`)).toEqual([{ c: 'things' }]);
    expect(JSON.parse((await run('--database', 'berlin', 'list', '--json')).stdout)).toMatchObject([
      { dest: 'public.item', state: 'done', rows: '500', percent: 100 },
    ]);
  });

  it('refuses what cannot work, and says what to do', async () => {
    await paris.query(ITEM);
    await fill(5);
    const go = (...more: string[]) => run('item', '--from', 'paris', '--to', 'berlin', ...more);
    expect(await go()).toMatchObject({ code: 1, stderr: expect.stringContaining('LONDISTE_TABLE_MISSING') });
    await berlin.query('create table item (id int primary key, name text)');
    expect((await go()).stderr).toContain('COPY_COLUMN_MISSING');
    await berlin.query('alter table item add code int; insert into item values (1, $$here$$), (9, $$here$$)');
    expect((await go()).stderr).toMatch(/COPY_TARGET_NOT_EMPTY[\s\S]*--truncate/);
    expect(await go('--where', 'nonsense')).toMatchObject({ code: 2 });
    expect((await go('--truncate')).stderr).toContain('CLI_NEEDS_YES');
    expect((await run('show', '7', '--database', 'berlin')).stderr).toContain('COPY_UNKNOWN');
    expect(await go('--keep', '--where', 'id < 3')).toMatchObject({ code: 0 });
    expect(await rowsOf(berlin, 'item')).toEqual([
      '(1,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx,1)',
      '(2,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx,2)',
      '(9,here,)',
    ]);
  });
});

describe('a copy on demand', () => {
  it('takes indexes, constraints and foreign keys off and puts them back', async () => {
    for (const database of [paris, berlin])
      await database.query(`${ITEM}; create table shop (id int primary key); create table part (id int primary key, item int references item);
        alter table item add constraint item_code unique (code) deferrable, add constraint item_shop foreign key (code) references shop;
        create index item_name on item (lower(name)); comment on index item_name is 'by name'; alter table item cluster on item_name`);
    await paris.query('insert into shop select generate_series(1, 400)');
    await berlin.query('insert into shop select generate_series(1, 400)');
    await fill(400);
    const shape = `select pg_get_indexdef(indexrelid) as d, indisclustered, obj_description(indexrelid) as c from pg_index where indrelid = 'item'::regclass
      union all select conname || ' ' || pg_get_constraintdef(oid), convalidated, null from pg_constraint where 'item'::regclass in (conrelid, confrelid) and contype <> 'n' order by 1`;
    const before = await berlin.query(shape);
    const [job] = await place({});
    expect((await orderStep(scope, 'berlin', job!)).did).toEqual({ step: 'planned', chunks: 4 });
    expect((await berlin.query(shape)).length).toBe(2); // the primary key, as index and constraint
    expect(new Set(await finish(job!))).toEqual(new Set(['chunk', 'copied', 'built', 'finished']));
    expect(await berlin.query(shape)).toEqual(before);
    expect(await rowsOf(berlin, 'item')).toEqual(await rowsOf(paris, 'item'));
    expect(await berlin.query(`select reltuples from pg_class where relname = 'item'`)).toEqual([
      { reltuples: 400 },
    ]);
  });

  it('asked for twice, in parallel and again, is one copy, and its messages may be repeated', async () => {
    await paris.query(ITEM);
    await berlin.query(ITEM);
    await fill(300);
    const message = {
      v: 1 as const,
      kind: 'copy' as const,
      database: 'berlin',
      order: { name: 'nightly', from: 'paris', tables: ['item'], chunkBytes: 8192 },
    };
    const asked = await Promise.all([copyWork(scope, message), copyWork(scope, message)]);
    expect(asked[0]!.wake).toEqual(asked[1]!.wake);
    const [step] = asked[0]!.wake;
    const copying = async (): Promise<void> => {
      for (;;) {
        const work = await copyWork(scope, step as Parameters<typeof copyWork>[1]).catch((error) => {
          if (error.code !== 'UNIT_BUSY') throw error;
          return { did: { step: 'busy' }, wake: [] };
        });
        if (work.did.step === 'finished' || work.did.step === 'nothing') return;
      }
    };
    await Promise.all([copying(), copying(), copying()]);
    await copying();
    expect(await rowsOf(berlin, 'item')).toEqual(await rowsOf(paris, 'item'));
    expect(await berlin.query('select state, order_name from londiste.copy_order')).toEqual([
      { state: 'done', order_name: 'nightly' },
    ]);
    expect((await copyWork(scope, message)).wake).toEqual(asked[0]!.wake);
  });

  it('cancelled in the middle leaves its table empty and whole', async () => {
    for (const database of [paris, berlin])
      await database.query(`${ITEM}; create index item_code on item (code)`);
    await fill(300);
    const [job] = await place({});
    for (let step = 0; step < 3; step++) await orderStep(scope, 'berlin', job!);
    // Other copies are at work in every place.
    const others = await berlin.connect();
    await others.query(`begin; select pg_advisory_xact_lock(${0x4c4f4e44}, n) from generate_series(1, 4) n`);
    expect(await run('--database', 'berlin', 'cancel', String(job), '--yes')).toMatchObject({ code: 0 });
    await others.query('commit');
    expect(await rowsOf(berlin, 'item')).toEqual([]);
    expect((await berlin.query(`select from pg_indexes where tablename = 'item'`)).length).toBe(2);
    expect((await orderStep(scope, 'berlin', job!)).did).toEqual({ step: 'nothing' });
    expect(await run('--database', 'berlin', 'cancel', String(job), '--yes')).toMatchObject({ code: 0 });
  });

  it('cancelled while its plan is being made leaves its table whole as well', async () => {
    for (const database of [paris, berlin])
      await database.query(`${ITEM}; create index item_code on item (code)`);
    await fill(300);
    const [job] = await place({});
    await scope.database('berlin', async (client) => {
      const query = client.query.bind(client) as (text: string, values: unknown[]) => unknown;
      const plannedBefore = async (text: string, values: unknown[]) => {
        if (text.includes(`state = 'cancelled'`)) await orderStep(scope, 'berlin', job!);
        return query(text, values);
      };
      const late = Object.create(client, { query: { value: plannedBefore } }) as typeof client;
      expect(await cancelOrder(late, job!)).toBe(true);
    });
    expect((await berlin.query(`select from pg_indexes where tablename = 'item'`)).length).toBe(2);
  });

  it('is forgotten three months after its end, not while its table lacks something; a late message is quiet', async () => {
    for (const database of [paris, berlin]) await database.query(ITEM);
    const [first] = await place({});
    await finish(first!);
    const [second] = await place({ name: 'stuck' });
    const known = () => berlin.query<{ name: string }>('select order_name as name from londiste.copy_order');
    const maintain = () => berlin.query('select londiste.periodic_maintenance()');
    await berlin.query(`update londiste.copy_order set finished = now() - interval '80 days' where state = 'done';
      update londiste.copy_order set state = 'cancelled', finished = now() - interval '1 year' where job_id = ${second};
      insert into londiste.copy_dropped (job_id, nr, name, kind, definition) values (${second}, 1, 'item_code', 'index', '')`);
    await maintain();
    expect(await known()).toEqual([{ name: 'o' }, { name: 'stuck' }]);
    await berlin.query(
      `update londiste.copy_order set finished = now() - interval '100 days' where state = 'done'`,
    );
    await maintain();
    expect(await known()).toEqual([{ name: 'stuck' }]);
    const late = { v: 1, kind: 'copy', database: 'berlin', job: `${first}` } as const;
    expect(await copyWork(scope, late)).toEqual({ did: { step: 'nothing' }, wake: [] });
  });

  it('of a table without a key, and of a view, is one chunk', async () => {
    await paris.query(`${ITEM}; create table log (line text); create view seen as select id, name from item`);
    await berlin.query('create table log (line text); create table seen (id int, name text)');
    await fill(300);
    await paris.query(`insert into log select 'line' from generate_series(1, 1000)`);
    for (const job of await place({ tables: ['log', 'seen'] })) {
      expect((await orderStep(scope, 'berlin', job)).did).toEqual({ step: 'planned', chunks: 1 });
      await finish(job);
    }
    for (const table of ['log', 'seen'])
      expect(await rowsOf(berlin, table)).toEqual(await rowsOf(paris, table));
  });

  it('a column that comes in the middle makes it begin again; a table that is emptied is empty', async () => {
    for (const database of [paris, berlin]) await database.query(ITEM);
    await fill(300);
    const [job] = await place({});
    for (let step = 0; step < 3; step++) await orderStep(scope, 'berlin', job!);
    await paris.query(`alter table item add note text default 'n'`);
    expect((await orderStep(scope, 'berlin', job!)).did).toEqual({ step: 'begun-again' });
    await expect(finish(job!)).rejects.toMatchObject({ code: 'LONDISTE_COLUMN_MISSING' });
    expect((await run('--database', 'berlin', 'list')).stdout).toContain('LONDISTE_COLUMN_MISSING');
    await berlin.query('alter table item add note text');
    await finish(job!);
    expect(await rowsOf(berlin, 'item')).toEqual(await rowsOf(paris, 'item'));
  });
});

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { cases } from './cases.ts';
import { type Outcome, traceCase } from './trace.ts';

// golden.json holds what the C extension (PgQ 3.5 on PostgreSQL 15) does with each case; record.ts made it.
const golden = JSON.parse(readFileSync(path.join(import.meta.dirname, 'golden.json'), 'utf8')) as Record<
  string,
  Outcome[]
>;

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createDatabase();
  client = await database.connect('postgres');
});
afterAll(() => database.drop());

describe('the triggers do what the C extension does', () => {
  test.for(cases)('$name', async (one) => {
    const outcomes = await traceCase(client, one);
    one.steps.forEach((step, i) => {
      expect(outcomes[i], `${step.fn} ${JSON.stringify(step.args)}: ${step.run}`).toEqual(
        golden[one.name]?.[i],
      );
    });
  });
});

describe('beyond the C extension', () => {
  const table = `create table t (id int primary key, a text, "Col" text, "user" text, "a b" int)`;
  const insert = `insert into t values (1, 'a', 'C', 'U', 5)`;

  /** The event that an expression in ev_extra3 gives. */
  async function extra3(expression: string): Promise<string | null | undefined> {
    const [outcome] = await traceCase(client, {
      name: '',
      setup: table,
      steps: [
        {
          fn: 'logutriga',
          when: 'after',
          level: 'row',
          args: ['q', `ev_extra3=${expression}`],
          run: insert,
          set: {},
        },
      ],
    });
    if (outcome?.error) throw new Error(outcome.error);
    return outcome?.events?.[0]?.[5];
  }

  test.for([
    ['r.a', 'a'],
    ['R.A', 'a'],
    ['"Col"', 'C'],
    ['r."Col"||r."a b"', 'C5'],
    ['A', 'a'],
    ['"user"||user', 'UU'],
    ["'a' || a || \"a\" || 'r.a'", 'aaar.a'],
    ["(select max(x) from unnest(array['x', 'y']) as x where x > r.a)", 'y'],
    ["coalesce(null, a)::text || E'\\'a' || $a$a$a$", "a'aa"],
  ])('an expression names columns as in SQL too: %s', async ([expression, value]) => {
    expect(await extra3(expression as string)).toBe(value);
  });

  test('columns that an index only includes are no key: they can be updated', async () => {
    const outcomes = await traceCase(client, {
      name: '',
      setup: `create table t (id int, a text, primary key (id) include (a)); insert into t values (1, 'a')`,
      steps: [
        { fn: 'logutriga', when: 'after', level: 'row', args: ['q'], run: `update t set a = 'b'`, set: {} },
      ],
    });
    expect(outcomes[0]?.events).toEqual([['q', 'U:id', 'id=1&a=b', 'public.t', null, null, null]]);
  });

  test('a transaction older than an ALTER TABLE never logs values under the names of other columns', async () => {
    await database.query(`create table altered (id int primary key, a text, b text);
      create trigger x after insert on altered for each row execute function pgq.logutriga('q');
      select pgq.create_queue('q')`);
    const old = await database.connect();
    await old.query('begin isolation level repeatable read; select 1 from pg_class limit 1');
    await database.query(
      'alter table altered rename a to c; alter table altered drop b; alter table altered add b int',
    );
    await expect(old.query(`insert into altered values (1, 'x', 2)`)).rejects.toMatchObject({
      code: '40001',
    });
    await old.query('rollback');
  });

  test('events reach the queue of the caller, without a notice', async () => {
    await database.query(`select pgq.create_queue('real queue'); create table logged (id int primary key, a text);
      create trigger x after insert or update or delete on logged for each row
        execute function pgq.jsontriga('real queue', 'backup');
      create trigger y after truncate on logged execute function pgq.logutriga('real queue')`);
    const session = await database.session();
    const notices: unknown[] = [];
    session.on('notice', (notice) => notices.push(notice.message));
    await session.query('set client_min_messages = notice');
    await session.query(`insert into logged values (1, 'a'), (2, null)`);
    await session.query(
      'update logged set a = 2 where id = 1; delete from logged where id = 2; truncate logged',
    );
    expect(notices).toEqual([]);
    const events = await database.query(
      `select ev_type, ev_data, ev_extra1, ev_extra2 from pgq.event_template where ev_extra1 = 'public.logged' order by ev_id`,
    );
    expect(events.map((event) => [event.ev_data, event.ev_extra2])).toEqual([
      ['{"id":1,"a":"a"}', null],
      ['{"id":2,"a":null}', null],
      ['{"id":1,"a":"2"}', '{"id":1,"a":"a"}'],
      ['{"id":2,"a":null}', null],
      ['', null],
    ]);
  });
});

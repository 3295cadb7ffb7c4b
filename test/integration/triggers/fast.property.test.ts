import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { type RandomTable, randomTable, TYPE_SETUP } from './random-tables.ts';

// The long run: SKYTOOLS_TEST_STATEMENTS=1000000, in parts with SKYTOOLS_TEST_SEED to choose where each begins.
const STATEMENTS = Number(process.env.SKYTOOLS_TEST_STATEMENTS ?? 160);
const SEED = process.env.SKYTOOLS_TEST_SEED;
const LONG = STATEMENTS > 10_000;
const PER_TRANSACTION = LONG ? 25 : 8;
// making six triggers costs as much as some hundred statements
const PER_TABLE = LONG ? 500 : 40;

const FORMATS = ['logutriga', 'jsontriga'];
const KINDS = ['classic', 'row', 'statement'];

let database: TestDatabase;
let client: pg.Client;
/** Event table of each queue, by `<format> <kind>`. */
const tables = new Map<string, string>();

/**
 * Runs statements on the server, each in a subtransaction. A value that does not fit or a column that is gone shows nothing;
 * an error that comes out of a trigger is told.
 */
const RUN_STATEMENTS = `
  create function run_statements(i_statements text[]) returns int language plpgsql as $run$
  declare
    statement text;
    context text;
    done int := 0;
  begin
    foreach statement in array i_statements loop
      begin
        execute statement;
        done := done + 1;
      exception when others then
        get stacked diagnostics context = pg_exception_context;
        if context like '%pgq%' then
          raise exception '% by %', sqlerrm, statement using detail = context;
        end if;
      end;
    end loop;
    return done;
  end $run$`;

beforeAll(async () => {
  database = await createDatabase();
  client = await database.session();
  await client.query(`set client_min_messages = error; ${TYPE_SETUP}; ${RUN_STATEMENTS}`);
  for (const format of FORMATS) {
    for (const kind of KINDS) {
      const queue = `${format} ${kind}`;
      await client.query('select pgq.create_queue($1)', [queue]);
      const { rows } = await client.query('select pgq.current_event_table($1) as name', [queue]);
      tables.set(queue, rows[0].name);
    }
  }
});
afterAll(() => database.drop());

async function createTriggers({ name, args }: RandomTable): Promise<void> {
  for (const format of FORMATS) {
    const literals = args.map((arg) => client.escapeLiteral(arg));
    await client.query(`
      create trigger "classic ${format}" after insert or update or delete on ${name} for each row
        execute function pgq.${format}(${[`'${format} classic'`, ...literals].join(', ')});
      create trigger "classic truncate ${format}" after truncate on ${name}
        execute function pgq.${format}('${format} classic')`);
    for (const level of ['row', 'statement']) {
      await client.query(
        `select pgq.create_fast_trigger($1::regclass, $2, $3, $4, $5, variadic $6::text[])`,
        [name, `${format} ${level}`, format, level, `${level} ${format}`, args],
      );
    }
  }
}

/** What each queue got since the last call. */
async function takeEvents(): Promise<Map<string, string[]>> {
  const each = [...tables].map(
    ([queue, table], n) => `
      t${n} as (delete from ${table} returning *),
      e${n} as (select ${client.escapeLiteral(queue)} as queue, coalesce(array_agg(row(
          ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_txid = txid_current(), ev_time = now()
        )::text order by ev_id), '{}') as events from t${n})`,
  );
  const { rows } = await client.query<{ queue: string; events: string[] }>(
    `with ${each.join(',')} ${[...tables].map((_, n) => `select * from e${n}`).join(' union all ')}`,
  );
  return new Map(rows.map(({ queue, events }) => [queue, events]));
}

let done = 0;

async function compare(table: RandomTable): Promise<void> {
  // a session that has seen many tables has the plans of all their functions to look through at every change of one
  await client.end();
  client = await database.session();
  await client.query('set client_min_messages = error');
  await client.query(table.create);
  try {
    await createTriggers(table);
    for (const { settings, statements } of table.transactions) {
      await client.query(`begin; ${settings}`);
      const { rows } = await client.query('select run_statements($1) as done', [statements]);
      const events = await takeEvents();
      for (const format of FORMATS) {
        for (const level of ['row', 'statement']) {
          const message = `${level} ${format}: ${settings}; ${statements.join('; ')}`;
          expect(events.get(`${format} ${level}`), message).toEqual(events.get(`${format} classic`));
        }
      }
      await client.query('commit');
      done += rows[0].done;
    }
  } finally {
    await client.query('rollback');
    await client.query(`drop table ${table.name} cascade; truncate ${[...tables.values()].join(', ')}`);
    await client.query(`do $$ declare f regprocedure; begin
      for f in select oid from pg_proc where proname like '\\_pgq\\_fast\\_%' loop execute 'drop function ' || f; end loop; end $$`);
  }
}

test(
  'generated triggers write the same events as classic ones, byte by byte, on any table and statement',
  async () => {
    const started = performance.now();
    const seed = SEED === undefined ? Date.now() : Number(SEED);
    await fc.assert(fc.asyncProperty(randomTable(PER_TABLE / PER_TRANSACTION, PER_TRANSACTION), compare), {
      seed,
      numRuns: Math.ceil(STATEMENTS / PER_TABLE),
      endOnFailure: true, // shrinking a table takes longer than reading it
    });
    expect(done).toBeGreaterThan(STATEMENTS / 3);
    if (LONG) {
      const minutes = ((performance.now() - started) / 60_000).toFixed(1);
      console.log(`${done} statements without a difference, seed ${seed}, ${minutes} minutes`);
    }
  },
  24 * 3_600_000,
);

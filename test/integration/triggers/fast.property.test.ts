import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';
import { type RandomTable, randomTable, TYPE_SETUP } from './random-tables.ts';

// SKYTOOLS_TEST_STATEMENTS=1000000 for the long run.
const STATEMENTS = Number(process.env.SKYTOOLS_TEST_STATEMENTS ?? 160);
const PER_TABLE = 40;

const FORMATS = ['logutriga', 'jsontriga'];
const KINDS = ['classic', 'row', 'statement'];

let database: TestDatabase;
let client: pg.Client;
/** Event table of each queue, by `<format> <kind>`. */
const tables = new Map<string, string>();

beforeAll(async () => {
  database = await createDatabase();
  client = await database.session();
  await client.query(`set client_min_messages = error; ${TYPE_SETUP}`);
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
async function takeEvents(): Promise<Map<string, unknown[][]>> {
  const events = new Map<string, unknown[][]>();
  for (const [queue, table] of tables) {
    const { rows } = await client.query({
      text: `with taken as (delete from ${table} returning *)
        select ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4,
            (ev_txid = txid_current() and ev_time = now())::text
          from taken order by ev_id`,
      rowMode: 'array',
    });
    events.set(queue, rows);
  }
  return events;
}

let done = 0;

async function compare(table: RandomTable): Promise<void> {
  await client.query(table.create);
  try {
    await createTriggers(table);
    for (const transaction of table.transactions) {
      await client.query('begin');
      try {
        await client.query(transaction);
      } catch (error) {
        // a value that does not fit, a column that is gone: the statement has no effect, so it shows nothing
        expect((error as { where?: string }).where ?? '', (error as Error).message).not.toContain('pgq');
        await client.query('rollback');
        continue;
      }
      const events = await takeEvents();
      for (const format of FORMATS) {
        for (const level of ['row', 'statement']) {
          expect(events.get(`${format} ${level}`), `${level} ${format}: ${transaction}`).toEqual(
            events.get(`${format} classic`),
          );
        }
      }
      await client.query('commit');
      done++;
    }
  } finally {
    await client.query('rollback');
    await client.query(`drop table ${table.name} cascade`);
    await client.query(`do $$ declare f regprocedure; begin
      for f in select oid from pg_proc where proname like '\\_pgq\\_fast\\_%' loop execute 'drop function ' || f; end loop; end $$`);
  }
}

test(
  'generated triggers write the same events as classic ones, byte by byte, on any table and statement',
  async () => {
    await fc.assert(fc.asyncProperty(randomTable(PER_TABLE), compare), {
      numRuns: Math.ceil(STATEMENTS / PER_TABLE),
      endOnFailure: true, // shrinking a table takes longer than reading it
    });
    expect(done).toBeGreaterThan(STATEMENTS / 3);
    if (STATEMENTS > 10_000) console.log(`${done} statements without a difference`);
  },
  24 * 3_600_000,
);

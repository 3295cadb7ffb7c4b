import pg from 'pg';
import { expect, onTestFailed, test } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

// Random producers, tickers, rotations and consumers at the same time, for a few seconds, over more rotations than a
// queue sees in a week: what was committed arrives once at each consumer, what was not never does.

const SECONDS = 4;
const PRODUCERS = 6;
/** However slow the machine is. */
const LEAST_EVENTS = 20;

/** mulberry32, so that a failure can be repeated as far as timing allows. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function produce(db: TestDatabase, name: string, seed: number, until: number): Promise<Set<string>> {
  const random = randomNumbers(seed);
  const pick = <T>(...choices: T[]): T => choices[Math.floor(random() * choices.length)]!;
  const client = await db.connect();
  const committed = new Set<string>();
  for (let n = 0; performance.now() < until || committed.size < LEAST_EVENTS; n++) {
    const written: string[] = [];
    let counter = 0;
    const insert = async () => {
      const data = `${name}.${n}.${counter++}`;
      if (random() < 0.2) {
        const { rows } = await client.query("select pgq.current_event_table('q') as name");
        if (random() < 0.3) await pause(random() * 60);
        await client.query(`insert into ${rows[0].name} (ev_time, ev_data) values (now(), $1)`, [data]);
      } else {
        await client.query("select pgq.insert_event('q', 't', $1)", [data]);
      }
      return data;
    };
    try {
      await client.query(
        `begin isolation level ${pick('read committed', 'read committed', 'repeatable read', 'serializable')}`,
      );
      // a snapshot of its own, some time before the first event
      if (random() < 0.5) {
        await client.query('select count(*) from pgq.tick');
        await pause(random() * 80);
      }
      for (let i = Math.floor(random() * 4); i >= 0; i--) {
        if (random() < 0.2) {
          await client.query('savepoint s');
          const data = await insert();
          if (random() < 0.5) await client.query('rollback to s');
          else written.push(data);
        } else {
          written.push(await insert());
        }
        if (random() < 0.2) await pause(random() * 100);
      }
      if (random() < 0.2) {
        await client.query('rollback');
      } else {
        await client.query('commit');
        for (const data of written) committed.add(data);
      }
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || error.code !== '40001') throw error;
      await client.query('rollback');
    }
  }
  return committed;
}

async function consume(db: TestDatabase, consumer: string, done: () => boolean): Promise<string[]> {
  const client = await db.connect();
  const seen: string[] = [];
  for (;;) {
    const last = done();
    const { rows } = await client.query("select pgq.next_batch('q', $1) as batch", [consumer]);
    const batch = rows[0].batch as string | null;
    if (batch === null) {
      if (last) return seen;
      await pause(5);
      continue;
    }
    const events = await client.query('select ev_data from pgq.get_batch_events($1)', [batch]);
    seen.push(...events.rows.map((row) => row.ev_data as string));
    await client.query('select pgq.finish_batch($1)', [batch]);
  }
}

async function repeat(db: TestDatabase, statements: string[], done: () => boolean): Promise<void> {
  const client = await db.connect();
  while (!done()) {
    for (const statement of statements) await client.query(statement);
    await pause(3);
  }
}

test('every committed event is delivered once to each consumer, no other ever', async () => {
  const db = await testDatabase();
  await db.query(
    "select pgq.create_queue('q'), pgq.register_consumer('q', 'one'), pgq.register_consumer('q', 'two')",
  );
  await db.query(
    "update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0', queue_rotation_period = '0'",
  );
  const seed = Date.now() % 1_000_000;
  onTestFailed(() => console.error(`seed ${seed}`));
  const until = performance.now() + SECONDS * 1000;
  let produced = false;
  let ticked = false;
  const producers = Promise.all(
    Array.from({ length: PRODUCERS }, (_, i) => produce(db, `p${i}`, seed + i, until)),
  ).finally(() => {
    produced = true;
  });
  const work = [
    repeat(db, ['select pgq.ticker()'], () => produced),
    repeat(db, ["select pgq.ticker('q')"], () => produced),
    repeat(
      db,
      ["select pgq.maint_rotate_tables_step1('q')", 'select pgq.maint_rotate_tables_step2()'],
      () => produced,
    ),
    repeat(
      db,
      ["begin; select pgq.maint_rotate_tables_step1('q'); select pgq.maint_rotate_tables_step2(); commit"],
      () => produced,
    ),
  ];
  const consumers = Promise.all([consume(db, 'one', () => ticked), consume(db, 'two', () => ticked)]);
  const committed = new Set((await producers).flatMap((events) => [...events]));
  await Promise.all(work);
  await db.query("select pgq.force_tick('q')");
  await db.query('select pgq.ticker()');
  ticked = true;
  const expected = [...committed].sort();
  for (const seen of await consumers) expect(seen.sort()).toEqual(expected);
  const [tick] = await db.query<{ disorder: string }>(
    `select count(*) as disorder from pgq.tick a join pgq.tick b on b.tick_id = a.tick_id + 1
      where txid_snapshot_xmax(a.tick_snapshot) > txid_snapshot_xmax(b.tick_snapshot)`,
  );
  expect(tick!.disorder).toBe('0');
  expect(expected.length).toBeGreaterThanOrEqual(PRODUCERS * LEAST_EVENTS);
});

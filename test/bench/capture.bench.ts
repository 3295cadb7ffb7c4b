/**
 * Capturing changes: generated triggers beside the C extension's logutriga, on the same server (Debian's PostgreSQL 15
 * with postgresql-15-pgq3), interleaved.
 *
 *   node test/bench/capture.bench.ts [rounds] [rows]
 *
 * Part one: statements of 50,000 rows; added cost is the time beyond the same statement without a trigger.
 * Part two: statements of one row through the driver, synchronous_commit off; statements per second. They run in turns of a
 * hundred statements, every turn in another order; a ratio is the median over the turns, each compared with the C
 * extension's of the same time, so that what else the machine does, and a slow round, do not decide it.
 */
import pg from 'pg';
import { composeSchema } from '../../infra/build/sql.ts';
import { startPostgres, systemBinaries } from '../../lib/local/postgres.ts';

const GOALS = { row: 0.9, statement: 0.4, single: 1.0 };
const SINGLE_STATEMENTS = 3000;
const SINGLE_TURN = 100;

const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function timed(body: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await body();
  return performance.now() - start;
}

type Kind = 'none' | 'c' | 'row' | 'statement';

/** The trigger of each kind; `none` is the floor. */
const TRIGGERS: Record<Kind, string> = {
  none: '',
  c: `create trigger capture after insert or update or delete on t for each row execute function pgq.logutriga('q')`,
  row: `select pgq.create_fast_trigger('t', 'q')`,
  statement: `select pgq.create_fast_trigger('t', 'q', 'logutriga', 'statement')`,
};

const TABLE = `create table t (id int primary key, name text, amount numeric, changed timestamptz, active bool, n int8)`;

class Capture {
  readonly kind: Kind;
  readonly client: pg.Client;

  private constructor(kind: Kind, client: pg.Client) {
    this.kind = kind;
    this.client = client;
  }

  /** A database with the C extension or ours, a queue and a captured table. */
  static async create(url: (database: string) => string, kind: Kind): Promise<Capture> {
    const admin = new pg.Client({ connectionString: url('postgres') });
    await admin.connect();
    await admin.query(`create database capture_${kind}`);
    await admin.end();
    const client = new pg.Client({ connectionString: url(`capture_${kind}`) });
    await client.connect();
    await client.query(
      kind === 'c' ? 'create extension pgq' : ['skytools', 'pgq'].map(composeSchema).join('\n'),
    );
    await client.query(`select pgq.create_queue('q')`);
    await client.query(`${TABLE}; ${TRIGGERS[kind]}`);
    return new Capture(kind, client);
  }

  /** Empty tables and no write-back of an earlier round in the way. */
  async reset(): Promise<void> {
    await this.client.query(
      'alter table t disable trigger user; truncate t, pgq.event_1_0; alter table t enable trigger user',
    );
    await this.client.query('checkpoint');
  }

  insert(rows: number): Promise<number> {
    return timed(() =>
      this.client.query(
        `insert into t select i, 'customer ' || i, i * 1.25, now(), i % 2 = 0, i * 1000
           from generate_series(1, $1::int) i`,
        [rows],
      ),
    );
  }

  update(): Promise<number> {
    return timed(() => this.client.query('update t set amount = amount + 1'));
  }

  /** Milliseconds for statements of one row each, a transaction each, for the ids after `first`. */
  single(first: number, count: number): Promise<number> {
    return timed(async () => {
      for (let i = first + 1; i <= first + count; i++) {
        await this.client.query({
          name: 'insert',
          text: 'insert into t values ($1, $2, $3, now(), true, 5)',
          values: [i, `customer ${i}`, i * 1.25],
        });
      }
    });
  }
}

const rounds = Number(process.argv[2] ?? 5);
const rows = Number(process.argv[3] ?? 50_000);
const binaries = systemBinaries(15);
if (binaries === undefined) throw new Error('install postgresql-15 and postgresql-15-pgq3');
const server = await startPostgres({
  binaries,
  settings: { shared_buffers: '512MB', max_wal_size: '8GB', autovacuum: false },
});
let failed = false;
try {
  const captures: Capture[] = [];
  for (const kind of ['none', 'c', 'row', 'statement'] as const) {
    captures.push(await Capture.create((database) => server.url(database), kind));
  }
  const times = Object.fromEntries(
    captures.map(({ kind }) => [
      kind,
      { insert: [] as number[], update: [] as number[], single: [] as number[] },
    ]),
  ) as Record<Kind, { insert: number[]; update: number[]; single: number[] }>;
  // the first round warms up
  for (let round = -1; round < rounds; round++) {
    for (const capture of captures) {
      await capture.reset();
      const insert = await capture.insert(rows);
      const update = await capture.update();
      await capture.reset();
      if (round < 0) continue;
      times[capture.kind].insert.push(insert);
      times[capture.kind].update.push(update);
    }
    for (let turn = 0; turn < SINGLE_STATEMENTS / SINGLE_TURN; turn++) {
      for (let place = 0; place < captures.length; place++) {
        const capture = captures[(turn + place) % captures.length]!;
        const took = await capture.single(turn * SINGLE_TURN, SINGLE_TURN);
        if (round >= 0) times[capture.kind].single.push(took);
      }
    }
  }
  for (const what of ['insert', 'update'] as const) {
    const floor = median(times.none[what]);
    const c = median(times.c[what]) - floor;
    console.log(
      `${what} of ${rows} rows: without trigger ${floor.toFixed(0)} ms, C logutriga adds ${c.toFixed(0)} ms`,
    );
    for (const kind of ['row', 'statement'] as const) {
      const added = median(times[kind][what]) - floor;
      const ratio = added / c;
      failed ||= ratio > GOALS[kind];
      console.log(
        `  ${kind} level adds ${added.toFixed(0)} ms: ${ratio.toFixed(2)} (goal ${GOALS[kind]} or less)`,
      );
    }
  }
  const perSecond = (kind: Kind) => ((SINGLE_TURN / median(times[kind].single)) * 1000).toFixed(0);
  console.log(
    `statements of one row: without trigger ${perSecond('none')}/s, C logutriga ${perSecond('c')}/s`,
  );
  for (const kind of ['row', 'statement'] as const) {
    const ratios = times.c.single.map((c, turn) => c / times[kind].single[turn]!).sort((a, b) => a - b);
    const quartiles = [0.25, 0.75]
      .map((at) => ratios[Math.floor(ratios.length * at)]!.toFixed(2))
      .join(' to ');
    const ratio = median(ratios);
    if (kind === 'row') failed ||= ratio < GOALS.single;
    console.log(
      `  ${kind} level ${perSecond(kind)}/s: ${ratio.toFixed(3)}, half of the turns ${quartiles} (goal ${GOALS.single} or more)`,
    );
  }
  for (const { client } of captures) await client.end();
} finally {
  await server.stop('immediate');
}
process.exit(failed ? 1 : 0);

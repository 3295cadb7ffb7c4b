/**
 * Inserting events in bulk from TypeScript, beside psql's COPY of the same rows into the same table.
 *
 *   node test/bench/produce.bench.ts [rounds] [events]
 */
import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { finished } from 'node:stream/promises';
import { promisify } from 'node:util';
import type pg from 'pg';
import { composeSql } from '../../infra/build/sql.ts';
import { startPostgres } from '../../lib/local/postgres.ts';
import { createQueue, type NewEvent, Producer } from '../../lib/pgq/index.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { transaction } from '../../lib/postgres/transaction.ts';

const run = promisify(execFile);
const GOAL = 0.85;
const COLUMNS = 'ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4';

const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

const dataOf = (i: number) => `id=${i}&name=customer+${i}&city=K%c3%b6ln&amount=${i * 7}.25&note`;

function* events(count: number): Generator<NewEvent> {
  for (let i = 0; i < count; i++) yield { type: 'U:id', data: dataOf(i), extra1: 'public.customer' };
}

async function writeRows(file: string, count: number): Promise<void> {
  const out = createWriteStream(file);
  for (let i = 0; i < count; i++) {
    const line = `2026-11-22 10:00:00+00\tU:id\t${dataOf(i)}\tpublic.customer\t\\N\t\\N\t\\N\n`;
    if (!out.write(line)) await new Promise<void>((resolve) => out.once('drain', resolve));
  }
  out.end();
  await finished(out);
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await body();
  return performance.now() - start;
}

async function compare(client: pg.Client, url: string, rounds: number, count: number): Promise<void> {
  await createQueue(client, 'bulk');
  const { rows } = await client.query<{ name: string }>(`select pgq.current_event_table('bulk') as name`);
  const table = rows[0]!.name;
  const directory = await mkdtemp(path.join(tmpdir(), 'skytools-bench-'));
  const file = path.join(directory, 'events.txt');
  await writeRows(file, count);
  const psql = () => run('psql', [url, '-qc', `\\copy ${table} (${COLUMNS}) from '${file}'`]);
  const ours = () => transaction(client, () => new Producer('bulk').insertMany(client, events(count)));
  const times = { psql: [] as number[], ours: [] as number[] };
  try {
    for (let round = -1; round < rounds; round++) {
      for (const [key, body] of [
        ['psql', psql],
        ['ours', ours],
      ] as const) {
        await client.query(`truncate ${table}`);
        await client.query('checkpoint');
        const took = await timed(body);
        if (round >= 0) times[key].push(took);
      }
    }
  } finally {
    await rm(directory, { recursive: true });
  }
  const [a, b] = [median(times.psql), median(times.ours)];
  console.log(
    `psql COPY ${a.toFixed(0)} ms, Producer.insertMany ${b.toFixed(0)} ms, ratio ${(a / b).toFixed(2)}, goal ${GOAL}`,
  );
}

const rounds = Number(process.argv[2] ?? 5);
const count = Number(process.argv[3] ?? 1_000_000);
const server = await startPostgres({ settings: { shared_buffers: '512MB', max_wal_size: '8GB' } });
const client = await connect(server.url());
try {
  await client.query(`begin; ${composeSql()} commit;`);
  console.log(`PostgreSQL ${server.binaries.major}, ${count} events, medians of ${rounds}`);
  await compare(client, server.url(), rounds, count);
} finally {
  await disconnect(client);
  await server.stop('immediate');
}

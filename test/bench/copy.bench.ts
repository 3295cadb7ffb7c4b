/**
 * First copy of a table with a primary key and one index, beside native logical replication's initial sync and
 * `psql \copy | psql \copy`, on one server, in one run, in turns; then the same cut into 64 chunks and into one,
 * by one worker. With sizes in MiB (8,16,32): ours alone, with chunks of these sizes in turns.
 *
 *   node test/bench/copy.bench.ts [rows] [rounds] [kind: int | uuid | wide] [sizes]
 *
 * Kinds: a row of about 110 bytes with a key of that type, or one of 1 kB and another 8 kB out of line.
 * The machine needs Debian's postgresql-15 (psql). Two copies run side by side, as two functions would.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import pg from 'pg';
import { composeSql } from '../../infra/build/sql.ts';
import { startPostgres, systemBinaries } from '../../lib/local/postgres.ts';
import { createNode } from '../../lib/londiste/admin/create-node.ts';
import { addTable, removeTable } from '../../lib/londiste/admin/tables.ts';
import { copyStep } from '../../lib/londiste/copy/copy.ts';
import { CHUNKS_MS } from '../../lib/londiste/copy/work.ts';
import type { NodeScope } from '../../lib/londiste/place.ts';
import { replayBatch } from '../../lib/londiste/replay/replay.ts';
import { parseConfig } from '../../lib/platform/config-file.ts';
import { Deadline } from '../../lib/platform/deadline.ts';
import { parseTarget } from '../../lib/postgres/target.ts';
import { WarmConnections } from '../../lib/postgres/warm.ts';
import { median, timed } from '../support/bench.ts';

const ROWS = Number(process.argv[2] ?? 2_000_000);
const ROUNDS = Number(process.argv[3] ?? 3);
const KIND = process.argv[4] ?? 'int';
const KEY = KIND === 'uuid' ? 'uuid' : 'int';
const SIZES_MIB = process.argv[5]?.split(',').map(Number) ?? [];
const WORKERS = 2;
const QUEUE = 'bench';

const server = await startPostgres({
  binaries: systemBinaries(15)!,
  durable: false,
  settings: { shared_buffers: '512MB', wal_level: 'logical', max_wal_size: '8GB' },
});
const open = async (database: string) => {
  const client = new pg.Client({ connectionString: server.url(database) });
  await client.connect();
  return client;
};
const admin = await open('postgres');
for (const name of ['source', 'leaf', 'native', 'piped']) await admin.query(`create database ${name}`);
const [source, leaf, native, piped] = [
  await open('source'),
  await open('leaf'),
  await open('native'),
  await open('piped'),
];
for (const client of [source, leaf]) await client.query(`begin; ${composeSql()}; commit`);
const CREATE = `create table item (id ${KEY} primary key, a text, b text, n int, at timestamptz); create index item_n on item (n)`;
// Stored as they are: repeated texts would shrink to nothing.
const AS_IS = 'alter table item alter a set storage external, alter b set storage external';
for (const client of [source, leaf, native, piped]) await client.query(`${CREATE}; ${AS_IS}`);
const [a, b] = KIND === 'wide' ? [32, 256] : [1, 1];
await source.query(
  `insert into item select ${KEY === 'uuid' ? 'md5(i::text)::uuid' : 'i'}, repeat(md5(i::text), ${a}), repeat(md5((i * 7)::text), ${b}), i * 31 % 1000003, '2026-01-01' from generate_series(1, ${ROWS}) i`,
);
await source.query('vacuum analyze item');
await source.query('create publication p for table item');

/** A process of its own, as far as connections go. */
function scopeWith(chunkBytes?: number): NodeScope & { close(): Promise<void> } {
  const connections = new WarmConnections();
  return {
    config: parseConfig({
      databases: { source: { url: server.url('source') }, leaf: { url: server.url('leaf') } },
      londiste: {
        nodes: { leaf: { database: 'leaf', queue: QUEUE, ...(chunkBytes ? { chunkBytes } : {}) } },
      },
    }),
    deadline: Deadline.after(3_600_000),
    database: (name, body) => connections.use(name, parseTarget(server.url(name)), body),
    close: () => connections.close(),
  };
}

const own = scopeWith();
await createNode(own, source, { queue: QUEUE, type: 'root', name: 'n1', location: 'source' });
await createNode(own, leaf, { queue: QUEUE, type: 'leaf', name: 'n2', location: 'leaf', provider: 'source' });
await addTable(own, source, { queue: QUEUE, table: 'item' });
await source.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);

const tick = () => source.query('select pgq.ticker($1)', [QUEUE]);
const size = (await source.query<{ bytes: bigint }>(`select pg_table_size('item') as bytes`)).rows[0]!.bytes;

/** The last copy: its chunks, and the milliseconds until the last of them. */
const last = { chunks: 0, ms: 0 };

/** From the subscription to `ok`. */
async function londiste(chunkBytes?: number, workers = WORKERS): Promise<number> {
  await removeTable(own, leaf, QUEUE, 'item').catch(() => {});
  await leaf.query('truncate item');
  const scopes = Array.from({ length: workers }, () => scopeWith(chunkBytes));
  const state = async () =>
    (
      await leaf.query<{ s: string | null }>(
        `select merge_state as s from londiste.table_info where table_name = 'public.item'`,
      )
    ).rows[0]!.s;
  const begun = performance.now();
  const took = await timed(async () => {
    await addTable(own, leaf, { queue: QUEUE, table: 'item' });
    while ((await state()) !== 'ok') {
      await Promise.all(
        scopes.map(async (scope) => {
          for (;;) {
            const { did, next } = await copyStep(scope, 'leaf', QUEUE, 'public.item', CHUNKS_MS).catch(
              (error) => {
                if (error.code === 'UNIT_BUSY') return { did: undefined, next: 'idle' };
                throw error;
              },
            );
            if (did?.step === 'copied') {
              last.ms = performance.now() - begun;
              last.chunks = (await leaf.query('select from londiste.copy_chunk')).rowCount!;
            }
            if (next !== 'again') return;
          }
        }),
      );
      await tick();
      while ((await replayBatch(own, 'leaf', QUEUE)).next === 'again');
    }
  });
  await Promise.all(scopes.map((scope) => scope.close()));
  return took;
}

/** From CREATE SUBSCRIPTION to the table's state `r`. */
async function initialSync(): Promise<number> {
  await native.query('truncate item');
  const took = await timed(async () => {
    await source.query(`select pg_create_logical_replication_slot('native', 'pgoutput')`);
    await native.query(
      `create subscription native connection 'host=127.0.0.1 port=${new URL(server.url('source')).port} dbname=source user=postgres'
         publication p with (create_slot = false, slot_name = 'native', copy_data = true)`,
    );
    for (;;) {
      const { rows } = await native.query(`select from pg_subscription_rel where srsubstate <> 'r'`);
      if (rows.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  await native.query(
    'alter subscription native disable; alter subscription native set (slot_name = none); drop subscription native',
  );
  for (;;) {
    // The walsender may take a moment to let go.
    const gone = await source
      .query(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'native'`,
      )
      .then(() => true)
      .catch(() => false);
    if (gone) return took;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function psqlPipe(): Promise<number> {
  await piped.query('truncate item');
  const psql = path.join(systemBinaries(15)!.bin, 'psql');
  return timed(
    () =>
      new Promise<void>((resolve, reject) => {
        const shell = spawn('sh', [
          '-c',
          `"$0" -qXd "$1" -c '\\copy item to stdout' | "$0" -qXd "$2" -c '\\copy item from stdin'`,
          psql,
          server.url('source'),
          server.url('piped'),
        ]);
        shell
          .on('error', reject)
          .on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`psql ${code}`))));
      }),
  );
}

const sum = async (client: pg.Client) =>
  (
    await client.query<{ s: string }>(
      `select count(*) || ' ' || sum(hashtextextended(item::text, 0)) as s from item`,
    )
  ).rows[0]!.s;

/** What a chunk's size does to the elapsed time, to the time of a chunk and to memory. */
async function compareSizes(): Promise<void> {
  const figures = SIZES_MIB.map((mib) => ({ mib, elapsed: [] as number[], chunk: [] as number[], rss: 0 }));
  for (let round = 0; round < ROUNDS; round++) {
    // There and back, so that none is always the first.
    for (const figure of round % 2 === 0 ? figures : figures.toReversed()) {
      const watch = setInterval(() => (figure.rss = Math.max(figure.rss, process.memoryUsage.rss())), 20);
      figure.elapsed.push(await londiste(figure.mib * 2 ** 20));
      clearInterval(watch);
      figure.chunk.push((last.ms * WORKERS) / last.chunks);
    }
  }
  const seconds = (ms: number[]) => (median(ms) / 1000).toFixed(2);
  for (const { mib, elapsed, chunk, rss } of figures) {
    process.stdout.write(
      `${mib} MiB: ${seconds(elapsed)} s, a chunk ${seconds(chunk)} s, ${Math.round(rss / 2 ** 20)} MiB resident\n`,
    );
  }
}

/** Ours beside the others, and in many chunks beside one. */
async function compareTools(): Promise<void> {
  const times: Record<string, number[]> = { ours: [], native: [], psql: [], one: [], many: [] };
  for (let round = 0; round < ROUNDS; round++) {
    times.native!.push(await initialSync());
    times.ours!.push(await londiste());
    times.psql!.push(await psqlPipe());
    times.many!.push(await londiste(Math.ceil(Number(size) / 64), 1));
    times.one!.push(await londiste(Number.MAX_SAFE_INTEGER, 1));
    process.stderr.write(
      `${Object.entries(times)
        .map(([name, ms]) => `${name} ${Math.round(ms.at(-1)!)} ms`)
        .join(', ')}\n`,
    );
  }
  const m = Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, median(ms)]));
  const ratio = (a: number, b: number) => (a / b).toFixed(2);
  process.stdout.write(
    `ours ${Math.round(m.ours!)} ms, native ${Math.round(m.native!)} ms (ratio ${ratio(m.native!, m.ours!)}), ` +
      `psql ${Math.round(m.psql!)} ms (ratio ${ratio(m.psql!, m.ours!)}); 64 chunks ${Math.round(m.many!)} ms, one ${Math.round(m.one!)} ms (ratio ${ratio(m.many!, m.one!)})\n`,
  );
}

await (SIZES_MIB.length > 0 ? compareSizes() : compareTools());
const same = (await sum(source)) === (await sum(leaf));
process.stdout.write(
  `${ROWS} rows, ${KIND}, ${Math.round(Number(size) / 2 ** 20)} MiB: ${same ? 'identical' : 'DIFFERENT'}; ` +
    `${Math.round(process.resourceUsage().maxRSS / 1024)} MiB resident\n`,
);
await Promise.all([admin, source, leaf, native, piped].map((client) => client.end()));
await own.close();
await server.stop('immediate');
process.exit(same ? 0 : 1);

/**
 * Replay of row changes (50 % updates, 30 % inserts, 20 % deletes, ten rows a transaction, a table of about 120 bytes a row)
 * beside native logical replication of the same changes and the original Londiste 3, in turns. Each has a provider and a
 * subscriber of its own; native's provider has no triggers. What is measured begins when all changes are committed.
 *
 *   node test/bench/replay.bench.ts [changes] [rows] [rounds] [hot]
 *
 * `hot`: a tenth of the keys takes nine tenths of the updates. The machine needs postgresql-15; for the original also
 * postgresql-15-pgq3, postgresql-15-pgq-node, postgresql-15-londiste-sql and python3-londiste.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { composeSql } from '../../infra/build/sql.ts';
import { type EmbeddedPostgres, startPostgres, systemBinaries } from '../../lib/local/postgres.ts';
import { createNode } from '../../lib/londiste/admin/create-node.ts';
import { addTable } from '../../lib/londiste/admin/tables.ts';
import type { NodeScope } from '../../lib/londiste/place.ts';
import { replayBatch } from '../../lib/londiste/replay/replay.ts';
import { parseConfig } from '../../lib/platform/config-file.ts';
import { Deadline } from '../../lib/platform/deadline.ts';
import { connect } from '../../lib/postgres/connect.ts';
import { median, timed } from '../support/bench.ts';

const CHANGES = Number(process.argv[2] ?? 300_000);
const ROWS = Number(process.argv[3] ?? 1_000_000);
const ROUNDS = Number(process.argv[4] ?? 3);
const HOT = process.argv[5] === 'hot';
const QUEUE = 'bench';

const servers: EmbeddedPostgres[] = [];
const clients: pg.Client[] = [];

async function database(settings: Record<string, string> = {}): Promise<{ url: string; client: pg.Client }> {
  const server = await startPostgres({
    binaries: systemBinaries(15)!,
    durable: false,
    settings: { shared_buffers: '512MB', max_wal_size: '8GB', wal_level: 'logical', ...settings },
  });
  servers.push(server);
  const url = server.url('postgres');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  clients.push(client);
  await client.query(`create table item (id int primary key, a text, b text, n int, at timestamptz);
    insert into item select i, md5(i::text), md5((i * 7)::text), i, '2026-01-01' from generate_series(1, ${ROWS}) i`);
  await client.query('vacuum analyze item');
  return { url, client };
}

/** The same changes on every provider; each round inserts keys of its own. */
async function prepareChanges(client: pg.Client): Promise<void> {
  await client.query(`create procedure change(round int, n int) language plpgsql as $$
    declare k int; hot int := greatest(1, ${ROWS} / 10);
    begin
      for t in 1 .. n / 10 loop
        for r in 0 .. 9 loop
          k := ((t::int8 * 7919 + r * 104729 + round * 15485863) % ${ROWS}) + 1;
          if r < 5 then
            ${HOT ? 'if (t * 5 + r) % 10 > 0 then k := k % hot + 1; end if;' : ''}
            update item set b = md5((t + round)::text), at = now() where id = k;
          elsif r < 8 then
            insert into item values (${ROWS} + round * 100000000 + t * 10 + r, md5(t::text), md5(r::text), t, now());
          else delete from item where id = k;
          end if;
        end loop;
        commit;
      end loop;
    end $$`);
}

/** Seconds of processor that a process has used. */
function cpu(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const pidOf = async (client: pg.Client) =>
  (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;

async function checksum(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ s: string }>(
    `select count(*) || ' ' || sum(hashtextextended(item::text, 0)) as s from item`,
  );
  return rows[0]!.s;
}

/** One of those compared: `run` brings what was committed over; `cpu` tells what it took. */
interface Candidate {
  name: string;
  source: pg.Client;
  target: pg.Client;
  run(round: number): Promise<void>;
  cpu(): Promise<string>;
  /** Before the changes of a round. */
  stop(): Promise<void>;
}

let batches = 0;
let resident = 0;

async function ours(): Promise<Candidate> {
  const [from, to] = [await database(), await database()];
  for (const { client } of [from, to]) await client.query(`begin; ${composeSql()}; commit`);
  const config = parseConfig({ databases: { source: { url: from.url }, leaf: { url: to.url } } });
  const open = new Map<string, pg.Client>();
  const scope: NodeScope = {
    config,
    deadline: Deadline.after(3_600_000),
    async database(name, body) {
      const client = open.get(name) ?? (await connect(name === 'source' ? from.url : to.url));
      if (!open.has(name)) clients.push(client);
      open.set(name, client);
      return body(client);
    },
  };
  const queue = QUEUE;
  await createNode(scope, from.client, { queue, type: 'root', name: 'n1', location: 'source' });
  await createNode(scope, to.client, {
    queue,
    type: 'leaf',
    name: 'n2',
    location: 'leaf',
    provider: 'source',
  });
  for (const name of ['source', 'leaf'])
    await scope.database(name, (client) =>
      addTable(scope, client, { queue, table: 'item', expectSync: true }),
    );
  await from.client.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);
  let used = '';
  return {
    name: 'replay',
    source: from.client,
    target: to.client,
    async run() {
      const pids = await Promise.all([...open.values()].map(pidOf));
      const before = pids.map(cpu);
      const node = process.cpuUsage();
      await from.client.query('select pgq.ticker($1)', [queue]);
      while ((await replayBatch(scope, 'leaf', queue)).did) {
        batches++;
        resident = Math.max(resident, process.memoryUsage().rss);
      }
      const { user, system } = process.cpuUsage(node);
      const servers = pids.map((pid, index) => cpu(pid) - before[index]!);
      used = `provider ${servers[0]!.toFixed(2)}, function ${((user + system) / 1e6).toFixed(2)}, subscriber ${servers[1]!.toFixed(2)}`;
    },
    cpu: async () => used,
    async stop() {},
  };
}

async function native(): Promise<Candidate> {
  const [from, to] = [await database(), await database()];
  await from.client.query('create publication p for table item');
  await from.client.query(`select pg_create_logical_replication_slot('native', 'pgoutput')`);
  await to.client.query(
    `create subscription native connection '${from.url}' publication p
       with (create_slot = false, slot_name = 'native', copy_data = false, enabled = false)`,
  );
  let used = '';
  return {
    name: 'native',
    source: from.client,
    target: to.client,
    async run() {
      const { rows } = await from.client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
      await to.client.query('alter subscription native enable');
      for (;;) {
        const done = await from.client.query(
          `select from pg_replication_slots where slot_name = 'native' and confirmed_flush_lsn >= $1`,
          [rows[0]!.lsn],
        );
        if (done.rowCount !== 0) break;
        await sleep(20);
      }
      const sender = await from.client.query<{ pid: number }>('select pid from pg_stat_replication');
      const worker = await to.client.query<{ pid: number }>(
        'select pid from pg_stat_subscription where pid is not null',
      );
      used = `provider ${cpu(sender.rows[0]!.pid).toFixed(2)}, subscriber ${cpu(worker.rows[0]!.pid).toFixed(2)}`;
    },
    cpu: async () => used,
    async stop() {
      await to.client.query('alter subscription native disable');
      // The worker is gone when the slot is free.
      for (;;) {
        const { rows } = await from.client.query<{ active: boolean }>(
          'select active from pg_replication_slots',
        );
        if (!rows[0]!.active) return;
        await sleep(20);
      }
    },
  };
}

/** The original, run by its own command line; its worker runs while it is measured. */
async function original(): Promise<Candidate> {
  const directory = await mkdtemp(path.join(tmpdir(), 'skytools-londiste-'));
  const [from, to] = [await database(), await database()];
  const ini = async (name: string, url: string) => {
    const file = path.join(directory, `${name}.ini`);
    const text = [
      '[londiste]',
      `job_name = ${name}`,
      `db = ${url}`,
      `queue_name = ${QUEUE}`,
      'loop_delay = 0.1',
    ];
    await writeFile(file, `${text.join('\n')}\npidfile = ${directory}/${name}.pid\n`);
    return file;
  };
  const londiste = (...parameters: string[]) =>
    new Promise<void>((resolve, reject) => {
      const child = spawn('/usr/bin/londiste', parameters, { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()));
      child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(said))));
    });
  // It reads key=value connect strings only.
  const [source, target] = [from.url, to.url].map(
    (url) => `host=127.0.0.1 port=${new URL(url).port} dbname=postgres user=postgres`,
  );
  const [root, leaf] = [await ini('n1', source!), await ini('n2', target!)];
  await londiste(root, 'create-root', 'n1', source!);
  await londiste(leaf, 'create-leaf', 'n2', target!, `--provider=${source}`);
  for (const file of [root, leaf]) await londiste(file, 'add-table', 'public.item', '--expect-sync');
  await from.client.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);
  let worker: ChildProcess | undefined;
  let used = '';
  return {
    name: 'Londiste 3',
    source: from.client,
    target: to.client,
    async run() {
      await from.client.query('select pgq.ticker($1)', [QUEUE]);
      const { rows } = await from.client.query<{ tick: string }>(
        'select max(tick_id)::text as tick from pgq.tick',
      );
      worker = spawn('/usr/bin/londiste', [leaf, 'worker'], { stdio: 'ignore' });
      for (;;) {
        const done = await to.client.query('select from pgq_node.local_state where last_tick_id >= $1', [
          rows[0]!.tick,
        ]);
        if (done.rowCount !== 0) break;
        await sleep(50);
      }
      used = `worker ${cpu(worker.pid!).toFixed(2)}`;
    },
    cpu: async () => used,
    async stop() {
      if (worker?.exitCode === null) {
        const ended = new Promise((resolve) => worker!.once('exit', resolve));
        worker.kill('SIGTERM');
        await ended;
      }
      if (servers.length === 0) await rm(directory, { recursive: true });
    },
  };
}

const candidates = [await ours(), await native()];
if (existsSync('/usr/bin/londiste')) candidates.push(await original());
for (const { source } of candidates) await prepareChanges(source);

const times = new Map<string, number[]>();
let identical = true;
for (let round = 0; round <= ROUNDS; round++) {
  for (const candidate of candidates) {
    await candidate.stop();
    // Round 0 brings the position up to date, and the code into memory.
    await candidate.source.query(`call change(${round}, ${round === 0 ? 1_000 : CHANGES})`);
    const ms = await timed(() => candidate.run(round));
    if (round === 0) continue;
    times.set(candidate.name, [...(times.get(candidate.name) ?? []), ms]);
    const same = (await checksum(candidate.source)) === (await checksum(candidate.target));
    identical &&= same;
    process.stdout.write(
      `  ${candidate.name}: ${Math.round(CHANGES / (ms / 1000))}/s, CPU seconds: ${await candidate.cpu()}${same ? '' : ', DIFFERENT'}\n`,
    );
  }
}
const middle = (name: string) => median(times.get(name)!);
const ratios = candidates
  .slice(1)
  .map(({ name }) => `${(middle(name) / middle('replay')).toFixed(2)} × ${name}`)
  .join(', ');
process.stdout.write(
  `${CHANGES} changes${HOT ? ', hot keys' : ''}, ${ROWS} rows: ${Math.round(CHANGES / (middle('replay') / 1000))}/s, ${ratios}; ` +
    `${batches} batches, ${Math.round(resident / 2 ** 20)} MiB resident, ${identical ? 'identical' : 'DIFFERENT'}\n`,
);
for (const candidate of candidates) await candidate.stop();
await Promise.all(clients.map((client) => client.end()));
for (const server of servers.splice(0)) await server.stop('immediate');
process.exit(identical ? 0 : 1);

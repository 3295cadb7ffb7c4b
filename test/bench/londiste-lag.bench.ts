/**
 * End-to-end lag of replication in steady state: 1,000 row changes a second (100 transactions of ten: 50 % updates, 30 %
 * inserts, 20 % deletes), with ticks every second under the local runner and the built functions, beside native logical
 * replication between the same two servers, in turns. A lag begins before the commit is sent to the root and ends when the
 * leaf shows the transaction, which it is asked every few milliseconds.
 *
 *   node test/bench/londiste-lag.bench.ts [seconds of each]
 *
 * The machine needs postgresql-15.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { buildFunctions } from '../../infra/build/functions.ts';
import { FunctionLog } from '../../lib/local/demo/function-log.ts';
import { localManifest } from '../../lib/local/demo/manifest.ts';
import { startEmulator } from '../../lib/local/emulator/server.ts';
import { startPostgres, systemBinaries } from '../../lib/local/postgres.ts';
import { startRunner } from '../../lib/local/runner/runner.ts';
import { createNode } from '../../lib/londiste/admin/create-node.ts';
import { addTable } from '../../lib/londiste/admin/tables.ts';
import type { NodeScope } from '../../lib/londiste/place.ts';
import { parseConfig } from '../../lib/platform/config-file.ts';
import { Deadline } from '../../lib/platform/deadline.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { install } from '../../lib/schema/install.ts';

const SECONDS = Number(process.argv[2] ?? 60);
const GOAL_MS = 2_000;
const QUEUE = 'bench';

const ROWS = 200_000;
const CHANGES_PER_TRANSACTION = 10;
const INSERTS_PER_TRANSACTION = 3;
const TRANSACTIONS_PER_SECOND = 100;
/** Deletes follow the inserts by so many transactions: two seconds, so they fall into another batch. */
const DELETED_AFTER = 200;
/** Before the measuring: processes start, plans are cached, the rhythm of the ticks is there. */
const WARM_UP_SECONDS = 15;
/** Between two looks at the leaf. */
const LOOK_MS = 5;
/** What is committed becomes visible within this time, or the bench gives up. */
const GIVE_UP_MS = 60_000;

/** Transaction `t` changes ten rows of their own; every insert has a higher key than all before. */
const CHANGE = `create function change(t int) returns void language plpgsql as $$
  declare fresh int := ${ROWS} + t * ${INSERTS_PER_TRANSACTION};
  begin
    for r in 0 .. 4 loop
      update item set b = md5((t + r)::text), at = now()
        where id = ((t::int8 * 7919 + r * 104729) % ${ROWS / 2}) + 1;
    end loop;
    for r in 0 .. ${INSERTS_PER_TRANSACTION - 1} loop
      insert into item values (fresh + r, md5(t::text), md5(r::text), t, now());
    end loop;
    delete from item where id in (fresh - ${DELETED_AFTER * INSERTS_PER_TRANSACTION},
                                  fresh - ${DELETED_AFTER * INSERTS_PER_TRANSACTION} + 1);
  end $$`;

const directory = await mkdtemp(path.join(tmpdir(), 'skytools-londiste-lag-'));
const log = new FunctionLog();
const undo: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];

async function open(url: string): Promise<pg.Client> {
  const client = await connect(url);
  undo.push(() => disconnect(client));
  return client;
}

/** A database with the table on the root's server and one on the leaf's. */
interface Pair {
  rootUrl: string;
  leafUrl: string;
  root: pg.Client;
  leaf: pg.Client;
}

async function pair(name: string): Promise<Pair> {
  const [rootUrl, leafUrl] = servers.map((server) => server.url(name)) as [string, string];
  for (const server of servers) await (await open(server.url())).query(`create database ${name}`);
  const [root, leaf] = [await open(rootUrl), await open(leafUrl)];
  for (const client of [root, leaf]) {
    await client.query(`create table item (id int primary key, a text, b text, n int, at timestamptz);
      insert into item select i, md5(i::text), md5((i * 7)::text), i, '2026-01-01' from generate_series(1, ${ROWS}) i`);
    await client.query('vacuum analyze item');
  }
  await root.query(CHANGE);
  return { rootUrl, leafUrl, root, leaf };
}

async function startNative({ rootUrl, root, leaf }: Pair): Promise<() => Promise<unknown>> {
  await root.query('create publication p for table item');
  await leaf.query(
    `create subscription native connection '${rootUrl}' publication p with (copy_data = false)`,
  );
  return () => leaf.query('drop subscription native');
}

async function startOurs({ rootUrl, leafUrl, root, leaf }: Pair): Promise<() => Promise<unknown>> {
  for (const client of [root, leaf]) await install(client, { version: 'bench' });
  const clients: Record<string, pg.Client> = { source: root, target: leaf };
  const scope: NodeScope = {
    config: parseConfig({ databases: { source: { url: rootUrl }, target: { url: leafUrl } } }),
    deadline: Deadline.never(),
    database: (name, body) => body(clients[name]!),
  };
  const queue = QUEUE;
  await createNode(scope, root, { queue, type: 'root', name: 'n1', location: 'source' });
  await createNode(scope, leaf, { queue, type: 'leaf', name: 'n2', location: 'target', provider: 'source' });
  for (const client of [root, leaf])
    await addTable(scope, client, { queue, table: 'item', expectSync: true });

  const configFile = path.join(directory, 'config.json');
  const databases = {
    source: { url: 'env:SKYTOOLS_SOURCE_URL', tick: { intervalSeconds: 1 } },
    target: { url: 'env:SKYTOOLS_TARGET_URL' },
  };
  await writeFile(configFile, JSON.stringify({ databases }));
  const functions = path.join(directory, 'functions');
  await buildFunctions(configFile, functions);
  const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench' };
  await mkdir(path.join(directory, 's3', 'hints'), { recursive: true });
  const emulator = await startEmulator({ ...credentials, directory: path.join(directory, 's3') });
  undo.push(() => emulator.close());
  const runner = await startRunner(localManifest(functions), {
    ...credentials,
    endpoint: emulator.endpoint,
    region: emulator.region,
    environment: { SKYTOOLS_SOURCE_URL: rootUrl, SKYTOOLS_TARGET_URL: leafUrl },
    log: (line) => log.write(line),
  });
  undo.push(() => runner.close());
  // One change, so that the first round of ticks does not find an idle database.
  await root.query('update item set n = n where id = 1');
  await runner.fire('sweep');
  return () => runner.close();
}

interface Measured {
  lags: number[];
  changesPerSecond: number;
  ticks: number;
}

/** Commits at the steady rate until the leaf shows all that was committed in the measured time. */
async function measure({ root, leaf }: Pair, ticksUrl: string | undefined): Promise<Measured> {
  const committed: number[] = [];
  const lags: number[] = [];
  const start = performance.now();
  const from = start + WARM_UP_SECONDS * 1000;
  const to = from + SECONDS * 1000;
  let shown = 0;
  let writing = true;
  const look = async () => {
    while (writing || shown < committed.length) {
      const { rows } = await leaf.query<{ id: number }>('select max(id) as id from item');
      const at = performance.now();
      const upTo = Math.floor((rows[0]!.id - ROWS) / INSERTS_PER_TRANSACTION);
      for (; shown < upTo; shown++) {
        const began = committed[shown]!;
        if (began >= from && began < to) lags.push(at - began);
      }
      if (at > to + GIVE_UP_MS)
        throw new Error(`${shown} of ${committed.length} transactions arrived: ${log.lastProblem}`);
      await sleep(LOOK_MS);
    }
  };
  const write = async () => {
    let measured = Number.POSITIVE_INFINITY;
    while (shown < measured) {
      const t = committed.length + 1;
      await root.query('begin');
      await root.query('select change($1)', [t]);
      const now = performance.now();
      committed.push(now);
      await root.query('commit');
      if (now >= to && measured === Number.POSITIVE_INFINITY) measured = t;
      if (now > to + GIVE_UP_MS) break;
      await sleep(Math.max(0, start + (t * 1000) / TRANSACTIONS_PER_SECOND - performance.now()));
    }
    writing = false;
  };
  const countTicks = async () => {
    if (ticksUrl === undefined) return 0;
    await sleep(to - performance.now());
    const client = await open(ticksUrl);
    const { rows } = await client.query<{ n: number }>(
      `select count(*)::int4 as n from pgq.tick where tick_time > now() - $1 * interval '1 second'`,
      [SECONDS],
    );
    return rows[0]!.n;
  };
  const [, , ticks] = await Promise.all([look(), write(), countTicks()]);
  const changesPerSecond = (lags.length * CHANGES_PER_TRANSACTION) / SECONDS;
  return { lags: lags.sort((a, b) => a - b), changesPerSecond, ticks };
}

async function checksum(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ s: string }>(
    `select count(*) || ' ' || sum(hashtextextended(item::text, 0)) as s from item`,
  );
  return rows[0]!.s;
}

const server = () =>
  startPostgres({
    binaries: systemBinaries(15)!,
    // Native sends what has been flushed: it would wait for the WAL writer otherwise.
    settings: { shared_buffers: '256MB', wal_level: 'logical', synchronous_commit: true },
  });
const servers = [await server(), await server()];
undo.push(() => Promise.all(servers.map((each) => each.stop('immediate'))));
try {
  const candidates = [
    { name: 'native', start: startNative },
    { name: 'londiste', start: startOurs },
  ];
  console.log('commit to leaf    changes/s   ticks        p50        p99    longest   leaf');
  for (const { name, start } of candidates) {
    const databases = await pair(name);
    const stop = await start(databases);
    const ours = name === 'londiste';
    const { lags, changesPerSecond, ticks } = await measure(databases, ours ? databases.rootUrl : undefined);
    const same = (await checksum(databases.root)) === (await checksum(databases.leaf));
    await stop();
    const share = (part: number) => lags[Math.min(lags.length - 1, Math.floor(lags.length * part))]!;
    const figures = [share(0.5), share(0.99), share(1)].map((ms) => `${ms.toFixed(0)} ms`.padStart(10));
    const goal = ours ? `   p99 <= ${GOAL_MS} ms ${share(0.99) <= GOAL_MS ? 'met' : 'MISSED'}` : '';
    console.log(
      `${name.padEnd(18)}${changesPerSecond.toFixed(0).padStart(9)}${(ours ? String(ticks) : '').padStart(8)} ${figures.join(' ')}   ${same ? 'identical' : 'DIFFERENT'}${goal}`,
    );
    if (!same) process.exitCode = 1;
  }
} finally {
  for (const step of undo.splice(0).reverse()) await step();
}

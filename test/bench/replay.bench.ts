/**
 * Replay of row changes (50 % updates, 30 % inserts, 20 % deletes, ten rows a transaction, a table of about 120 bytes a row)
 * beside native logical replication of the same changes, on one server, in one run.
 *
 *   node test/bench/replay.bench.ts [changes] [rows] [hot]
 *
 * `hot`: a tenth of the keys takes nine tenths of the updates.
 */
import pg from 'pg';
import { composeSql } from '../../infra/build/sql.ts';
import { startPostgres } from '../../lib/local/postgres.ts';
import { createNode } from '../../lib/londiste/admin/create-node.ts';
import { addTable } from '../../lib/londiste/admin/tables.ts';
import type { NodeScope } from '../../lib/londiste/place.ts';
import { replayBatch } from '../../lib/londiste/replay/replay.ts';
import { parseConfig } from '../../lib/platform/config-file.ts';
import { Deadline } from '../../lib/platform/deadline.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { timed } from '../support/bench.ts';

const CHANGES = Number(process.argv[2] ?? 300_000);
const ROWS = Number(process.argv[3] ?? 1_000_000);
const HOT = process.argv[4] === 'hot';

const server = await startPostgres({
  durable: false,
  settings: { shared_buffers: '512MB', wal_level: 'logical', max_wal_size: '8GB' },
});
const open = async (database: string) => {
  const client = new pg.Client({ connectionString: server.url(database) });
  await client.connect();
  return client;
};
const admin = await open('postgres');
for (const name of ['source', 'leaf', 'native']) await admin.query(`create database ${name}`);
const [source, leaf, native] = [await open('source'), await open('leaf'), await open('native')];
for (const client of [source, leaf]) await client.query(`begin; ${composeSql()}; commit`);
for (const client of [source, leaf, native]) {
  await client.query(`create table item (id int primary key, a text, b text, n int, at timestamptz);
    insert into item select i, md5(i::text), md5((i * 7)::text), i, '2026-01-01' from generate_series(1, ${ROWS}) i`);
  await client.query('vacuum analyze item');
}

const config = parseConfig({
  databases: { source: { url: server.url('source') }, leaf: { url: server.url('leaf') } },
});
const clients = new Map<string, pg.Client>();
const scope: NodeScope = {
  config,
  deadline: Deadline.after(3_600_000),
  async database(name, body) {
    const client = clients.get(name) ?? (await connect(server.url(name)));
    clients.set(name, client);
    return body(client);
  },
};
const queue = 'bench';
await createNode(scope, source, { queue, type: 'root', name: 'n1', location: 'source' });
await createNode(scope, leaf, {
  queue,
  type: 'leaf',
  name: 'n2',
  location: 'leaf',
  provider: 'source',
});
for (const name of ['source', 'leaf'])
  await scope.database(name, (client) => addTable(scope, client, { queue, table: 'item', expectSync: true }));
await source.query(`update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'`);

await source.query('create publication p for table item');
await source.query(`select pg_create_logical_replication_slot('native', 'pgoutput')`);
await native.query(
  `create subscription native connection 'host=127.0.0.1 port=${new URL(server.url('source')).port} dbname=source user=postgres'
     publication p with (create_slot = false, slot_name = 'native', copy_data = false, enabled = false)`,
);

await source.query(`create procedure change(n int) language plpgsql as $$
  declare k int; hot int := ${Math.max(1, Math.floor(ROWS / 10))};
  begin
    for t in 1 .. n / 10 loop
      for r in 0 .. 9 loop
        k := ((t * 7919 + r * 104729) % ${ROWS}) + 1;
        if r < 5 then
          ${HOT ? 'if r > 0 or t % 2 = 0 then k := k % (hot / 100) + 1; end if;' : ''}
          update item set b = md5(t::text), at = now() where id = k;
        elsif r < 8 then insert into item values (${ROWS} + t * 10 + r, md5(t::text), md5(r::text), t, now());
        else delete from item where id = k; end if;
      end loop;
      commit;
    end loop;
  end $$`);
const tick = () => source.query(`select pgq.ticker('${queue}')`);
await tick();
while ((await replayBatch(scope, 'leaf', queue)).next === 'again');

await source.query(`call change(${CHANGES})`);
await tick();
const lsn = (await source.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn')).rows[0]!.lsn;

let batches = 0;
const ours = await timed(async () => {
  while ((await replayBatch(scope, 'leaf', queue)).did) batches++;
});
const theirs = await timed(async () => {
  await native.query('alter subscription native enable');
  for (;;) {
    const { rows } = await source.query(
      `select from pg_replication_slots where slot_name = 'native' and confirmed_flush_lsn >= $1`,
      [lsn],
    );
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});
const sum = async (client: pg.Client) =>
  (
    await client.query<{ s: string }>(
      `select count(*) || ' ' || sum(hashtextextended(item::text, 0)) as s from item`,
    )
  ).rows[0]!.s;
const [a, b, c] = [await sum(source), await sum(leaf), await sum(native)];
const rate = (ms: number) => Math.round(CHANGES / (ms / 1000));
process.stdout.write(
  `${CHANGES} changes${HOT ? ', hot keys' : ''}: replay ${rate(ours)}/s in ${batches} batches, native ${rate(theirs)}/s, ratio ${(theirs / ours).toFixed(2)}; ` +
    `leaf ${a === b ? 'identical' : 'DIFFERENT'}, native ${a === c ? 'identical' : 'DIFFERENT'}; ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB resident\n`,
);
await native
  .query(
    'alter subscription native disable; alter subscription native set (slot_name = none); drop subscription native',
  )
  .catch(() => {});
for (const client of clients.values()) await disconnect(client);
await Promise.all([admin, source, leaf, native].map((client) => client.end()));
await server.stop('immediate');
process.exit(a === b ? 0 : 1);

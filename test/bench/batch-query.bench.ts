/**
 * Reading a batch of 500 events on the server: plain; while a transaction is held open over 500 later ones; after that
 * transaction has ended, which makes its event part of the batch; with five million events in the tables. Embedded PostgreSQL.
 *
 *   node test/bench/batch-query.bench.ts [rounds] [events in the tables]
 */
import pg from 'pg';
import { composeSchema } from '../../infra/build/sql.ts';
import { startPostgres } from '../../lib/local/postgres.ts';
import { median, timed } from '../support/bench.ts';

const rounds = Number(process.argv[2] ?? 21);
const stored = Number(process.argv[3] ?? 5_000_000);
const GOAL = 1.5;
const BATCH = 500;

const server = await startPostgres({ settings: { shared_buffers: '1GB', max_wal_size: '8GB' } });
const clients: pg.Client[] = [];
const connect = async () => {
  const client = new pg.Client({ connectionString: server.url('postgres') });
  await client.connect();
  clients.push(client);
  return client;
};
try {
  const client = await connect();
  await client.query(`begin; ${composeSchema('skytools')} ${composeSchema('pgq')} commit;`);
  const open = async (queue: string) => {
    await client.query("select pgq.create_queue($1), pgq.register_consumer($1, 'c')", [queue]);
    await client.query("update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'");
  };
  /** One event per transaction. */
  const insert = (queue: string, count: number) =>
    client.query(
      `do $$ begin for i in 1 .. ${count} loop
         perform pgq.insert_event('${queue}', 'U:id', 'id=1234&name=customer+1234'); commit; end loop; end $$`,
    );
  const batch = async (queue: string) => {
    await client.query('select pgq.ticker($1)', [queue]);
    return (await client.query("select pgq.next_batch($1, 'c') as id", [queue])).rows[0].id as string;
  };
  const read = async (id: string, expected: number) => {
    const times: number[] = [];
    for (let round = -3; round < rounds; round++) {
      let count = 0;
      const time = await timed(async () => {
        count = Number(
          (await client.query('select count(*) from pgq.get_batch_events($1)', [id])).rows[0].count,
        );
      });
      if (count !== expected) throw new Error(`${count} events instead of ${expected}`);
      if (round >= 0) times.push(time);
    }
    return median(times);
  };
  const close = (id: string) => client.query('select pgq.finish_batch($1)', [id]);

  await open('plain');
  await insert('plain', BATCH);
  const plainBatch = await batch('plain');
  const base = await read(plainBatch, BATCH);

  await open('held');
  const holder = await connect();
  await holder.query("begin; select pgq.insert_event('held', 'U:id', 'late')");
  await insert('held', 500);
  await close(await batch('held'));
  await insert('held', BATCH);
  let id = await batch('held');
  const held = await read(id, BATCH);
  await close(id);
  await insert('held', BATCH - 1);
  await holder.query('commit');
  id = await batch('held');
  const ended = await read(id, BATCH);

  await open('full');
  const { rows } = await client.query(
    `select queue_data_pfx || '_0' as name, txid_snapshot_xmin(tick_snapshot) as xmin
       from pgq.queue join pgq.tick on tick_queue = queue_id where queue_name = 'full'`,
  );
  // by the transactions before the batch
  await client.query(
    `insert into ${rows[0].name} (ev_time, ev_txid, ev_type, ev_data)
     select now(), 1 + n::int8 * ($2::int8 - 2) / $1, 'U:id', 'id=1234&name=customer+1234'
       from generate_series(1, $1::int) n`,
    [stored, rows[0].xmin],
  );
  await insert('full', BATCH);
  const full = await read(await batch('full'), BATCH);

  console.log(`reading a batch of ${BATCH} events, milliseconds, median of ${rounds}`);
  console.log(`plain                                        ${base.toFixed(2)}`);
  for (const [name, time] of [
    ['a transaction open over 500 later ones', held],
    ['the batch after its end', ended],
    [`${stored} events in the table`, full],
  ] as const) {
    const ratio = time / base;
    console.log(
      `${name.padEnd(44)} ${time.toFixed(2)}  ratio ${ratio.toFixed(2)} (goal ${GOAL}${ratio <= GOAL ? '' : ', MISSED'})`,
    );
  }
} finally {
  await Promise.all(clients.map((client) => client.end()));
  await server.stop('immediate');
}

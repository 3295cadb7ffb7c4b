/**
 * Reading whole batches into a TypeScript handler, beside the same driver doing `select *` on the same rows, and beside the
 * calls of the original clients (next_batch, get_batch_events, finish_batch).
 *
 *   node test/bench/read-batch.bench.ts [rounds]
 */
import type pg from 'pg';
import { composeSql } from '../../infra/build/sql.ts';
import { startPostgres } from '../../lib/local/postgres.ts';
import {
  type Batch,
  consumeBatch,
  createQueue,
  forceTick,
  Producer,
  registerConsumer,
} from '../../lib/pgq/index.ts';
import { Deadline } from '../../lib/platform/deadline.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { transaction } from '../../lib/postgres/transaction.ts';

const SIZES = [500, 5_000, 50_000] as const;
const GOALS: Readonly<Record<number, number>> = { 500: 0.7, 5000: 0.9, 50000: 0.9 };

/** Rounds before measuring, so that both sides run compiled code: a batch of 500 is too short to warm anything up. */
const WARM_UP_EVENTS = 50_000;

const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function timed(body: () => Promise<number>, expected: number): Promise<number> {
  const start = performance.now();
  const seen = await body();
  const took = performance.now() - start;
  if (seen !== expected) throw new Error(`read ${seen} events instead of ${expected}`);
  return took;
}

function* events(count: number) {
  for (let i = 0; i < count; i++) {
    yield {
      type: 'U:id',
      data: `id=${i}&name=customer+${i}&city=K%c3%b6ln&amount=${i * 7}.25&note&changed=2026-11-22+10%3a00%3a00`,
      extra1: 'public.customer',
    };
  }
}

async function compare(client: pg.Client, size: number, rounds: number) {
  const queue = `read_${size}`;
  const consumer = { queue, consumer: 'bench' };
  await createQueue(client, queue);
  await registerConsumer(client, queue, consumer.consumer);
  await transaction(client, () => new Producer(queue).insertMany(client, events(size)));
  await forceTick(client, queue, Deadline.never());
  const { rows } = await client.query<{ name: string; tick: bigint }>(
    `select pgq.current_event_table($1) as name, s.sub_last_tick as tick
       from pgq.queue q join pgq.subscription s on s.sub_queue = q.queue_id where q.queue_name = $1`,
    [queue],
  );
  const { name, tick } = rows[0]!;
  await client.query(`analyze ${name}`);

  const select = async () => {
    const answer = await client.query(`select * from ${name}`);
    let seen = 0;
    for (const row of answer.rows) if (row.ev_data.length > 0) seen++;
    return seen;
  };
  const ours = async () => {
    let seen = 0;
    const handler = {
      async handleBatch(batch: Batch) {
        for await (const block of batch.blocks())
          for (const event of block) if (event.data!.length > 0) seen++;
      },
    };
    await consumeBatch(client, consumer, handler, Deadline.after(60_000));
    return seen;
  };
  const original = async () => {
    await client.query('begin');
    const batch = await client.query('select * from pgq.next_batch_custom($1, $2, null, null, null)', [
      queue,
      'bench',
    ]);
    const id = batch.rows[0].batch_id;
    const answer = await client.query('select * from pgq.get_batch_events($1)', [id]);
    let seen = 0;
    for (const row of answer.rows) if (row.ev_data.length > 0) seen++;
    await client.query('select pgq.finish_batch($1)', [id]);
    await client.query('commit');
    return seen;
  };
  const times = { select: [] as number[], ours: [] as number[], original: [] as number[] };
  const warmUp = Math.max(2, WARM_UP_EVENTS / size);
  for (let round = -warmUp; round < rounds; round++) {
    for (const [key, body] of [
      ['select', select],
      ['ours', ours],
      ['original', original],
    ] as const) {
      await registerConsumer(client, queue, consumer.consumer, tick);
      const took = await timed(body, size);
      if (round >= 0) times[key].push(took);
    }
  }
  const [a, b, c] = [median(times.select), median(times.ours), median(times.original)];
  // On a busy machine each round trip may wait for a processor: the quickest rounds are those that did not.
  const quickest = Math.min(...times.select) / Math.min(...times.ours);
  const cell = (value: number) => value.toFixed(2).padStart(9);
  console.log(
    `${String(size).padStart(7)} ${cell(a)} ${cell(b)} ${cell(a / b)} ${cell(GOALS[size]!)} ${cell(quickest)} ${cell(c)} ${cell(a / c)}`,
  );
}

const rounds = Number(process.argv[2] ?? 21);
const server = await startPostgres();
const client = await connect(server.url());
try {
  await client.query(`begin; ${composeSql()} commit;`);
  console.log(`PostgreSQL ${server.binaries.major}, medians of ${rounds}, milliseconds`);
  console.log(' events  select *      ours     ratio      goal  quickest  original     ratio');
  for (const size of SIZES) await compare(client, size, rounds);
} finally {
  await disconnect(client);
  await server.stop('immediate');
}

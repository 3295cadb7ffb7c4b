/**
 * `pgq.ticker()` with 1 to 1,000 queues, none due and all due: ours beside the C extension, on one server (Debian's
 * PostgreSQL 15 with postgresql-15-pgq3), interleaved.
 *
 *   node test/bench/ticker.bench.ts [rounds]
 */
import type pg from 'pg';
import { median, startComparison, timed } from '../support/bench.ts';

const rounds = Number(process.argv[2] ?? 9);
const GOAL = 0.5;

const comparison = await startComparison();
try {
  const clients = { c: comparison.c, ours: comparison.ours };
  const settle = async (client: pg.Client) => {
    await client.query(
      "update pgq.queue set queue_ticker_max_lag = '1 hour', queue_ticker_idle_period = '1 hour'",
    );
    await client.query(
      'insert into pgq.tick (tick_queue, tick_id, tick_event_seq) select queue_id, nextval(queue_tick_seq::regclass), 1 from pgq.queue',
    );
    await client.query('vacuum analyze pgq.tick');
    await client.query('vacuum analyze pgq.queue');
    await client.query('checkpoint');
  };
  const due = (client: pg.Client) =>
    client.query("update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'");
  let queues = 0;
  console.log(`pgq.ticker(), milliseconds, median of ${rounds}`);
  for (const count of [1, 10, 100, 1000]) {
    for (const client of Object.values(clients)) {
      for (let n = queues; n < count; n++) await client.query('select pgq.create_queue($1)', [`queue ${n}`]);
    }
    queues = count;
    for (const state of ['none due', 'all due'] as const) {
      for (const client of Object.values(clients)) {
        await settle(client);
        if (state === 'all due') {
          await due(client);
          await client.query('vacuum pgq.queue');
        }
      }
      const times = { c: [] as number[], ours: [] as number[] };
      for (let round = -1; round < rounds; round++) {
        for (const name of ['c', 'ours'] as const) {
          let ticks = '';
          const time = await timed(async () => {
            ticks = (await clients[name].query<{ ticker: string }>('select pgq.ticker()')).rows[0]!.ticker;
          });
          if (Number(ticks) !== (state === 'all due' ? count : 0))
            throw new Error(`${name} made ${ticks} ticks`);
          if (round >= 0) times[name].push(time);
        }
      }
      const ratio = median(times.ours) / median(times.c);
      const goal = count < 100 ? '' : ` (goal ${GOAL}${ratio <= GOAL ? '' : ', MISSED'})`;
      console.log(
        `${String(count).padStart(4)} queues, ${state.padEnd(8)}  c ${median(times.c).toFixed(2)}  ours ${median(times.ours).toFixed(2)}  ratio ${ratio.toFixed(2)}${goal}`,
      );
    }
  }
} finally {
  await comparison.stop();
}

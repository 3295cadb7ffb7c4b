/**
 * One consumer beside eight subconsumers, with a handler that waits 5 ms for each event, as one that calls a service does.
 *
 *   node test/bench/subconsumers.bench.ts [events, 4000] [events per tick, 100]
 */
import type pg from 'pg';
import { composeSchema } from '../../infra/build/sql.ts';
import { embeddedBinaries, startPostgres } from '../../lib/local/postgres.ts';
import {
  consumeBatch,
  consumeCoopBatch,
  consumeKeyedBatch,
  createQueue,
  forceTick,
  type Handler,
  registerConsumer,
  subconsumerPool,
} from '../../lib/pgq/index.ts';
import { Deadline } from '../../lib/platform/deadline.ts';
import { connect, disconnect } from '../../lib/postgres/connect.ts';
import { timed } from '../support/bench.ts';

const GOAL = 6;
const WORKERS = 8;
const HANDLER_MS = 5;

const [events = 4000, perTick = 100] = process.argv.slice(2).map(Number);
const deadline = () => Deadline.after(600_000);

let handled = 0;
const handler: Handler = {
  handleEvent: () =>
    new Promise<void>((resolve) => {
      setTimeout(() => {
        handled++;
        resolve();
      }, HANDLER_MS);
    }),
};

type Consume = (client: pg.Client) => Promise<unknown>;

const CASES: Record<string, { workers: number; goal?: boolean; consume: Consume }> = {
  'one consumer': {
    workers: 1,
    consume: (client) => consumeBatch(client, { queue: 'q', consumer: 'one' }, handler, deadline()),
  },
  [`${WORKERS} subconsumers`]: {
    workers: WORKERS,
    goal: true,
    consume: (client) =>
      consumeCoopBatch(
        client,
        { queue: 'q', consumer: 'group', subconsumers: subconsumerPool(WORKERS) },
        handler,
        deadline(),
      ),
  },
  [`${WORKERS} slots by key`]: {
    workers: WORKERS,
    consume: (client) =>
      consumeKeyedBatch(
        client,
        { queue: 'q', consumer: 'keyed', orderingKey: 'extra1', slots: WORKERS },
        (slot) => consumeBatch(client, slot, handler, deadline()),
      ),
  },
};

const server = await startPostgres({ binaries: embeddedBinaries(18), settings: {} });
const clients: pg.Client[] = [];
try {
  for (let worker = 0; worker < WORKERS; worker++) clients.push(await connect(server.url('postgres')));
  const client = clients[0]!;
  await client.query(
    `begin; ${['skytools', 'pgq', 'pgq_coop'].map((schema) => composeSchema(schema)).join('\n')} commit;`,
  );
  await createQueue(client, 'q');
  for (const name of ['one', 'group', 'keyed']) await registerConsumer(client, 'q', name);
  for (let first = 1; first <= events; first += perTick) {
    await client.query(
      `select pgq.insert_event('q', 't', 'x', 'key ' || i % 1000, null, null, null) from generate_series($1::int, $2) i`,
      [first, Math.min(events, first + perTick - 1)],
    );
    await forceTick(client, 'q', deadline());
  }

  let single = 0;
  for (const [name, { workers, goal, consume }] of Object.entries(CASES)) {
    handled = 0;
    const ms = await timed(() =>
      Promise.all(
        clients.slice(0, workers).map(async (worker) => {
          while (handled < events)
            await consume(worker).catch((error: { code?: string }) => {
              if (error.code !== 'UNIT_BUSY') throw error;
              return new Promise((resolve) => setTimeout(resolve, HANDLER_MS));
            });
        }),
      ),
    );
    single ||= ms;
    const times = single / ms;
    const verdict = !goal ? '' : ` (goal ${GOAL} or more) ${times >= GOAL ? 'met' : 'MISSED'}`;
    console.log(
      `${name.padEnd(16)} ${events} events in ${(ms / 1000).toFixed(1)} s: ${times.toFixed(2)} x${verdict}`,
    );
  }
} finally {
  await Promise.all(clients.map(disconnect));
  await server.stop('immediate');
}

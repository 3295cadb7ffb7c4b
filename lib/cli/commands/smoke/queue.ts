import type pg from 'pg';
import type { JobMessage } from '../../../jobs/messages.ts';
import {
  SMOKE_CONSUMER,
  SMOKE_MOVED_QUEUE,
  SMOKE_QUEUE,
  smokeConsumerKey,
} from '../../../pgq/consumers/smoke.ts';
import { peekEvents } from '../../../pgq/peek.ts';
import { configureQueue, createQueue, dropQueue, registerConsumer } from '../../../pgq/queues.ts';
import { SkytoolsError } from '../../../platform/errors.ts';
import { transaction } from '../../../postgres/transaction.ts';
import { type SmokeScope, seconds } from './scope.ts';

/** Enough for a batch that is not trivial, few enough for any database. */
const EVENTS = 200;

/**
 * Events of committed transactions go through the deployed tick and consume functions into a second queue, each once and in
 * order; those of a transaction that was rolled back do not.
 *
 * @throws SkytoolsError SMOKE_TIMEOUT, SMOKE_WRONG
 */
export async function checkQueue(scope: SmokeScope, database: string): Promise<string> {
  const client = await scope.database(database);
  await clean(client);
  try {
    for (const queue of [SMOKE_QUEUE, SMOKE_MOVED_QUEUE]) await createQueue(client, queue);
    await configureQueue(client, SMOKE_QUEUE, { tickerMaxLagSeconds: 0.5 });
    await registerConsumer(client, SMOKE_QUEUE, SMOKE_CONSUMER);
    const sent = await produce(client);
    scope.step(`${EVENTS} events committed and ${EVENTS / 2} rolled back in queue ${SMOKE_QUEUE}`);
    const committed = performance.now();
    await scope.until(
      'the deployed tick function ticks the queue',
      [{ v: 1, kind: 'tick', database }],
      async () => ((await waiting(client)) > 0 ? undefined : true),
    );
    scope.step(`ticked by the tick function after ${seconds(committed)}`);
    const consume: JobMessage = {
      v: 1,
      kind: 'consume',
      database,
      consumer: smokeConsumerKey(database),
    };
    const moved = await scope.until('the deployed consume function moves the events', [consume], async () => {
      const events = await peekEvents(client, SMOKE_MOVED_QUEUE, { limit: 2 * EVENTS });
      return events.length >= EVENTS ? events.map(({ data }) => data).reverse() : undefined;
    });
    scope.step(`consumed, and moved by the consume function, after ${seconds(committed)}`);
    if (JSON.stringify(moved) !== JSON.stringify(sent)) {
      throw new SkytoolsError(
        'SMOKE_WRONG',
        `${sent.length} events were sent and ${moved.length} arrived, or in another order`,
        {
          subject: { database, queue: SMOKE_QUEUE },
          hint: 'an installation must never do that: look at both queues with `skytools event peek`, and report it',
        },
      );
    }
    return `${EVENTS} events, each once and in order, in ${seconds(committed)}`;
  } finally {
    await clean(client);
  }
}

/** Payloads of the events that were committed, in their order. */
async function produce(client: pg.Client): Promise<string[]> {
  const insert = (from: number, to: number) =>
    client.query(`select pgq.insert_event($1, 'smoke', n::text) from generate_series($2::int, $3::int) n`, [
      SMOKE_QUEUE,
      from,
      to,
    ]);
  await transaction(client, () => insert(1, EVENTS / 2));
  await client.query('begin');
  await insert(10_001, 10_000 + EVENTS / 2);
  await client.query('rollback');
  await transaction(client, () => insert(EVENTS / 2 + 1, EVENTS));
  return Array.from({ length: EVENTS }, (_, index) => String(index + 1));
}

/** Events that no tick has seen. */
async function waiting(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ waiting: bigint }>(
    'select ev_new as waiting from pgq.get_queue_info($1)',
    [SMOKE_QUEUE],
  );
  return Number(rows[0]!.waiting);
}

/** Removes what this run, or one that was cut short, has made. */
async function clean(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ queue_name: string }>(
    'select queue_name from pgq.get_queue_info() where queue_name = any($1)',
    [[SMOKE_QUEUE, SMOKE_MOVED_QUEUE]],
  );
  for (const { queue_name } of rows) await dropQueue(client, queue_name, true);
  // A queue made anew has events and batches of its own.
  await client.query('select pgq_ext.forget_consumer($1)', [SMOKE_CONSUMER]);
}

import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { pgqError } from './errors.ts';

/** What can be set on a queue. Intervals in seconds. */
export interface QueueSettings {
  /** Tick when so many new events wait. A threshold: a batch can be larger. */
  tickerMaxCount?: number;
  /** Tick when events wait and the last tick is so old. */
  tickerMaxLagSeconds?: number;
  /** Longest time between two ticks of an idle queue. */
  tickerIdlePeriodSeconds?: number;
  tickerPaused?: boolean;
  /** Least time between two rotations of the event tables. */
  rotationPeriodSeconds?: number;
  /** Ticks come from elsewhere (a branch of a cascade). */
  externalTicker?: boolean;
}

const PARAMETERS: Readonly<Record<keyof QueueSettings, string>> = {
  tickerMaxCount: 'ticker_max_count',
  tickerMaxLagSeconds: 'ticker_max_lag',
  tickerIdlePeriodSeconds: 'ticker_idle_period',
  tickerPaused: 'ticker_paused',
  rotationPeriodSeconds: 'rotation_period',
  externalTicker: 'external_ticker',
};

/**
 * Creates a queue.
 *
 * @returns false if it existed
 * @throws SkytoolsError PGQ_NOT_INSTALLED
 */
export const createQueue = (client: Client, queue: string): Promise<boolean> =>
  call(client, queue, 'select pgq.create_queue($1) as answer', [queue]).then((answer) => answer === 1);

/**
 * Drops a queue with its events.
 *
 * @param force also unregister its consumers
 * @throws SkytoolsError PGQ_QUEUE_MISSING, PGQ_QUEUE_IN_USE
 */
export async function dropQueue(client: Client, queue: string, force = false): Promise<void> {
  await call(client, queue, 'select pgq.drop_queue($1, $2) as answer', [queue, force]);
}

/**
 * Changes settings of a queue, all or none.
 *
 * @throws SkytoolsError PGQ_QUEUE_MISSING
 */
export async function configureQueue(client: Client, queue: string, settings: QueueSettings): Promise<void> {
  const names: string[] = [];
  const values: string[] = [];
  for (const [key, value] of Object.entries(settings) as [
    keyof QueueSettings,
    number | boolean | undefined,
  ][]) {
    if (value === undefined) continue;
    names.push(PARAMETERS[key]);
    values.push(key.endsWith('Seconds') ? `${value} seconds` : String(value));
  }
  await call(
    client,
    queue,
    `select min(pgq.set_queue_config($1, p.name, p.value)) as answer
       from unnest($2::text[], $3::text[]) p (name, value)`,
    [queue, names, values],
  );
}

/**
 * Registers a consumer at the queue's last tick, or at a given one.
 *
 * @param tick an existing tick; a registered consumer is moved there, and its open batch is dropped
 * @returns false if it was registered
 * @throws SkytoolsError PGQ_QUEUE_MISSING, PGQ_TICK_MISSING
 */
export const registerConsumer = (
  client: Client,
  queue: string,
  consumer: string,
  tick?: bigint,
): Promise<boolean> =>
  call(client, queue, 'select pgq.register_consumer_at($1, $2, $3) as answer', [
    queue,
    consumer,
    tick ?? null,
  ]).then((answer) => answer === 1);

/**
 * Registers a member of a cooperative consumer, and the consumer where it is new.
 *
 * @returns false if it was registered
 */
export const registerSubconsumer = (
  client: Client,
  queue: string,
  consumer: string,
  subconsumer: string,
): Promise<boolean> =>
  call(client, queue, 'select pgq_coop.register_subconsumer($1, $2, $3) as answer', [
    queue,
    consumer,
    subconsumer,
  ]).then((answer) => answer === 1);

/**
 * Removes a consumer with its subconsumers and its events in the retry queue.
 *
 * @returns how many registrations were removed; 0 if there was none
 */
export const unregisterConsumer = (client: Client, queue: string, consumer: string): Promise<number> =>
  call(client, queue, 'select pgq.unregister_consumer($1, $2) as answer', [queue, consumer]);

/** Where to move a consumer to. A time as text, ISO 8601, keeps the microseconds that a tick's time has. */
export type SeekTarget = { tick: bigint } | { time: Date | string } | { end: true };

/**
 * Moves a registered consumer: to a tick, to the last tick at or before a time, or to the queue's end. Its open batch is
 * dropped. Moving back delivers events again; moving forward skips them.
 *
 * @returns the tick moved to
 * @throws SkytoolsError PGQ_TICK_MISSING where rotation has removed that time's ticks, PGQ_NOT_SUBSCRIBED
 */
export async function seekConsumer(
  client: Client,
  queue: string,
  consumer: string,
  to: SeekTarget,
): Promise<bigint> {
  const time = 'time' in to ? to.time : null;
  const tick = 'tick' in to ? to.tick : null;
  try {
    const { rows } = await client.query<{ tick: bigint | string | null; registered: boolean }>(
      `select coalesce($3::int8, (
                select max(t.tick_id) from pgq.tick t join pgq.queue q on q.queue_id = t.tick_queue
                 where q.queue_name = $1 and ($4::timestamptz is null or t.tick_time <= $4))) as tick,
              exists (select 1 from pgq.get_consumer_info($1, $2)) as registered`,
      [queue, consumer, tick, time],
    );
    const { tick: found, registered } = rows[0]!;
    if (!registered) throw notSubscribed(queue, consumer);
    if (found === null) throw noTick(queue, consumer);
    await client.query('select pgq.register_consumer_at($1, $2, $3)', [queue, consumer, found]);
    return BigInt(found);
  } catch (error) {
    throw pgqError(error, { queue, consumer });
  }
}

const notSubscribed = (queue: string, consumer: string) =>
  new SkytoolsError('PGQ_NOT_SUBSCRIBED', `${consumer} is not registered on queue ${queue}`, {
    subject: { queue, consumer },
    hint: 'register it: skytools consumer register QUEUE CONSUMER',
  });

const noTick = (queue: string, consumer: string) =>
  new SkytoolsError('PGQ_TICK_MISSING', `queue ${queue} has no tick that old`, {
    subject: { queue, consumer },
    hint: 'ticks and events are removed by rotation; choose a later time',
  });

async function call(client: Client, queue: string, text: string, values: unknown[]): Promise<number> {
  try {
    const { rows } = await client.query<{ answer: number }>(text, values);
    return Number(rows[0]!.answer);
  } catch (error) {
    throw pgqError(error, { queue });
  }
}

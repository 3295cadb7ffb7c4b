import type { Client } from '../postgres/connect.ts';
import { pgqError } from './errors.ts';
import { type EventId, eventId, type Int8 } from './types.ts';

/** A consumer, or a group of cooperative ones, with events that it has given up. */
export interface DeadLetterCount {
  queue: string;
  consumer: string;
  events: number;
}

/** An event that a consumer has given up. */
export interface DeadLetter {
  id: EventId;
  time: Date;
  failedAt: Date;
  reason: string | null;
  retries: number;
  type: string | null;
  data: string | null;
  extra1: string | null;
  extra2: string | null;
  extra3: string | null;
  extra4: string | null;
}

/** What becomes of an event that a consumer could not handle. Times in seconds. */
export interface RetryPolicy {
  /** How often it comes back before it is a dead letter. */
  maxRetries: number;
  /** Time before the first repetition; it doubles each time. */
  baseSeconds: number;
  maximumSeconds: number;
  /** Largest part of the time, 0 to 1, that is left out at random. */
  jitter: number;
}

/** Which dead letters are meant. */
export type Which = { ids: readonly bigint[] } | { all: true };

/**
 * Consumers that have dead letters. A group of cooperative consumers shares them and counts once, under its own name, the
 * shortest.
 */
export async function countDeadLetters(client: Client, queue?: string): Promise<DeadLetterCount[]> {
  return select<DeadLetterCount>(
    client,
    `select queue, consumer, events from (
       select owner.queue, owner.consumer, pgq.failed_event_count(owner.queue, owner.consumer) as events
         from (select q.queue_name as queue, (array_agg(c.co_name order by length(c.co_name), c.co_name))[1] as consumer
                 from pgq.subscription s
                 join pgq.queue q on q.queue_id = s.sub_queue
                 join pgq.consumer c on c.co_id = s.sub_consumer
                where $1::text is null or q.queue_name = $1
                group by q.queue_name, s.sub_id) owner) counted
      where events > 0
      order by 1, 2`,
    [queue ?? null],
  );
}

/**
 * The dead letters of a consumer, by event id.
 *
 * @throws SkytoolsError PGQ_NOT_SUBSCRIBED
 */
export async function listDeadLetters(
  client: Client,
  queue: string,
  consumer: string,
  limit: number,
): Promise<DeadLetter[]> {
  const rows = await select<
    Record<string, string | null> & { ev_id: Int8; ev_time: Date; ev_failed_time: Date }
  >(client, 'select * from pgq.failed_event_list($1, $2, $3, 0)', [queue, consumer, limit]);
  return rows.map((row) => ({
    id: eventId(row.ev_id),
    time: row.ev_time,
    failedAt: row.ev_failed_time,
    reason: row.ev_failed_reason ?? null,
    retries: Number(row.ev_retry ?? 0),
    type: row.ev_type ?? null,
    data: row.ev_data ?? null,
    extra1: row.ev_extra1 ?? null,
    extra2: row.ev_extra2 ?? null,
    extra3: row.ev_extra3 ?? null,
    extra4: row.ev_extra4 ?? null,
  }));
}

/**
 * Puts dead letters back into their queue, for their consumer alone, all or none; they arrive with the next tick.
 *
 * @returns how many
 * @throws SkytoolsError PGQ_NOT_SUBSCRIBED, PGQ_EVENT_MISSING
 */
export const replayDeadLetters = (
  client: Client,
  queue: string,
  consumer: string,
  which: Which,
): Promise<number> => each(client, 'failed_event_retry', queue, consumer, which);

/**
 * Throws dead letters away, all or none.
 *
 * @returns how many
 * @throws SkytoolsError PGQ_NOT_SUBSCRIBED, PGQ_EVENT_MISSING
 */
export const purgeDeadLetters = (
  client: Client,
  queue: string,
  consumer: string,
  which: Which,
): Promise<number> => each(client, 'failed_event_delete', queue, consumer, which);

async function each(
  client: Client,
  call: 'failed_event_retry' | 'failed_event_delete',
  queue: string,
  consumer: string,
  which: Which,
): Promise<number> {
  // One statement is one transaction. The list is read whole before the first call takes a letter away.
  const ids =
    'all' in which
      ? 'select array_agg(ev_id) as ids from pgq.failed_event_list($1, $2)'
      : 'select $3::int8[] as ids';
  const rows = await select<{ done: Int8 }>(
    client,
    `with letters as materialized (${ids})
     select count(pgq.${call}($1, $2, id)) as done from letters, unnest(ids) id`,
    'all' in which ? [queue, consumer] : [queue, consumer, which.ids.map(String)],
  );
  return Number(rows[0]!.done);
}

/** The policy of a consumer, or undefined: its failures are dead letters at once. Needs the right to read pgq.retry_policy. */
export async function retryPolicy(
  client: Client,
  queue: string,
  consumer: string,
): Promise<RetryPolicy | undefined> {
  const rows = await select<RetryPolicy>(
    client,
    `select p.policy_max_retries as "maxRetries", extract(epoch from p.policy_base)::float8 as "baseSeconds",
            extract(epoch from p.policy_maximum)::float8 as "maximumSeconds", p.policy_jitter as jitter
       from pgq.retry_policy p
      where p.policy_owner = (select s.sub_id from pgq.subscription s join pgq.queue q on q.queue_id = s.sub_queue
                                join pgq.consumer c on c.co_id = s.sub_consumer
                               where q.queue_name = $1 and c.co_name = $2)`,
    [queue, consumer],
  );
  return rows[0];
}

/** Sets the policy of a consumer; undefined forgets it. @throws SkytoolsError PGQ_NOT_SUBSCRIBED */
export async function setRetryPolicy(
  client: Client,
  queue: string,
  consumer: string,
  policy: RetryPolicy | undefined,
): Promise<void> {
  if (policy === undefined) {
    await select(client, 'select pgq.set_retry_policy($1, $2, null)', [queue, consumer]);
    return;
  }
  await select(
    client,
    'select pgq.set_retry_policy($1, $2, $3, make_interval(secs => $4), make_interval(secs => $5), $6)',
    [queue, consumer, policy.maxRetries, policy.baseSeconds, policy.maximumSeconds, policy.jitter],
  );
}

async function select<Row>(client: Client, text: string, values: unknown[]): Promise<Row[]> {
  try {
    return (await client.query(text, values)).rows as Row[];
  } catch (error) {
    const [queue, consumer] = values as [string | null, string | undefined];
    throw pgqError(error, { ...(queue ? { queue } : {}), ...(consumer ? { consumer } : {}) });
  }
}

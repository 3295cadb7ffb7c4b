import type { Deadline } from '../platform/deadline.ts';
import { BusyError, type ErrorSubject } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { Closing, transaction } from '../postgres/transaction.ts';
import { Batch, type BatchRow, newRetries, readBatchRow } from './batch.ts';
import { pgqError } from './errors.ts';
import type { EventRow, RetryRequests } from './event.ts';
import { queryText } from './event-query.ts';
import { type Handler, runHandler } from './handler.ts';
import { keepingAlive } from './keep-alive.ts';
import { CURSOR, FIRST_BLOCK, readLarge, readOnward } from './read-blocks.ts';
import { type RetryPolicy, storeFailures } from './retry-policy.ts';
import type { BatchId, EventId, TickId, UnitResult } from './types.ts';

/** Who consumes what, and when a batch is worth opening. */
export interface ConsumerSpec {
  queue: string;
  consumer: string;
  /** Only ticks that are this old, in seconds. */
  minLagSeconds?: number | undefined;
  /** Wait for so many events … */
  minCount?: number | undefined;
  /** … or for so much time in one batch, in seconds. */
  minIntervalSeconds?: number | undefined;
  /** What becomes of an event whose handler throws; without it, the batch fails as a whole. */
  retries?: RetryPolicy | undefined;
}

/** A batch, or the part of it that fitted before the deadline, as it was committed. */
export interface ConsumedBatch {
  batch: BatchId;
  previousTick: TickId;
  tick: TickId;
  /** When the batch's last tick was taken. */
  tickTime: Date;
  /** Events delivered to the handler by this run. */
  events: number;
  /** Events of them that will come again. */
  retried: number;
  /** Events of them that became dead letters. */
  dead: number;
  /** False where the deadline ended delivery: the rest comes in the next run. */
  finished: boolean;
  /** True where the effects of the batch were found committed already, and only its end was recorded. */
  skipped: boolean;
}

/** `undefined`: there was no batch to be had. */
export type ConsumeResult = UnitResult<ConsumedBatch | undefined>;

/**
 * One batch of a consumer whose effect is in the queue's own database: opens the batch, runs the handler and finishes the
 * batch in one transaction, so that the effect happens exactly once. Where the deadline comes first, what was handled is
 * committed with the position inside the batch.
 *
 * @throws BusyError where another transaction or lease holds the consumer
 * @throws HandlerError what the handler threw; the transaction was rolled back
 * @throws DeadlineError where no time was left to begin
 * @throws SkytoolsError PGQ_NOT_SUBSCRIBED, PGQ_NOT_INSTALLED
 */
export async function consumeBatch(
  client: Client,
  consumer: ConsumerSpec,
  handler: Handler,
  deadline: Deadline,
): Promise<ConsumeResult> {
  const subject = subjectOf(consumer);
  deadline.check(`consumer ${consumer.consumer}`);
  const begin = async (statements: string) => {
    const open = openStatement(consumer, CURSOR);
    const [opened, events] = (
      await queryText(client, `${statements}; ${open}; fetch ${FIRST_BLOCK} from ${CURSOR}`)
    ).slice(-2);
    return { row: readBatchRow(opened!), events: events!.rows as unknown as EventRow[] };
  };
  const work = async (
    _client: Client,
    begun: Awaited<ReturnType<typeof begin>>,
  ): Promise<ConsumeResult | Closing<ConsumeResult>> => {
    const row = openedBatch(consumer, begun.row);
    if (row === undefined) return { did: undefined, next: 'idle' };
    const retries = newRetries();
    const read = () =>
      row.large ? readLarge(client, readOptions(row), retries) : readOnward(client, begun.events, retries);
    const batch = new Batch(consumer, row, read, deadline, true);
    await keepingAlive(client, () =>
      runHandler(handler, batch, { client, deadline }, consumer.retries && 'savepoint'),
    );
    return closeBatch(client, consumer, batch, retries);
  };
  return mapped(subject, () => transaction(client, work, { deadline, subject, begin }));
}

export const subjectOf = (consumer: ConsumerSpec): ErrorSubject => ({
  queue: consumer.queue,
  consumer: consumer.consumer,
});

/** Errors of the queue's functions with codes of their own. */
export async function mapped<T>(subject: ErrorSubject, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw pgqError(error, subject);
  }
}

export const readOptions = (row: BatchRow) => ({
  sql: row.event_sql,
  after: row.done_event === null ? undefined : BigInt(row.done_event),
});

/** @param seconds undefined is NULL */
export const interval = (seconds: number | undefined): string | null =>
  seconds === undefined ? null : `${seconds} seconds`;

/** Claims a consumer for the transaction and opens its batch, with a cursor over its events if named. */
export function openStatement(consumer: ConsumerSpec, cursor?: string): string {
  const given = [
    consumer.queue,
    consumer.consumer,
    interval(consumer.minLagSeconds),
    consumer.minCount === undefined ? null : String(consumer.minCount),
    interval(consumer.minIntervalSeconds),
    cursor ?? null,
  ];
  return `select * from pgq.open_batch(${given.map((value) => (value === null ? 'null' : quoteLiteral(value))).join(', ')})`;
}

/**
 * Opens a consumer's batch in a transaction of its own, for effects that outlive a rollback of ours: they are known by the
 * batch's id and end, which have to be the same in the next run. (Without that, a batch opened anew may end at a later tick.)
 *
 * @returns undefined where there is no batch
 * @throws BusyError, PostgresError
 */
export async function openCommitted(client: Client, consumer: ConsumerSpec): Promise<BatchRow | undefined> {
  return openedBatch(consumer, (await client.query<BatchRow>(openStatement(consumer))).rows[0]!);
}

/**
 * What {@link openStatement} answered; undefined where there is no batch.
 *
 * @throws BusyError
 */
export function openedBatch(consumer: ConsumerSpec, row: BatchRow): BatchRow | undefined {
  if (row.state === 'busy') throw busy(consumer);
  return row.state === 'idle' ? undefined : row;
}

export const busy = (consumer: ConsumerSpec): BusyError =>
  new BusyError(`consumer ${consumer.consumer} of queue ${consumer.queue}`, { subject: subjectOf(consumer) });

/**
 * Claims a batch that was opened and committed before, for this transaction; undefined where it is no longer open.
 *
 * @throws BusyError
 */
export async function holdBatch(
  client: Client,
  consumer: ConsumerSpec,
  id: BatchId,
): Promise<BatchRow | undefined> {
  const { rows } = await client.query<BatchRow>('select $1::int8 as batch_id, * from pgq.hold_batch($1)', [
    id,
  ]);
  const row = rows[0]!;
  if (row.state === 'busy') throw busy(consumer);
  return row.state === 'gone' ? undefined : row;
}

/**
 * Ends the work on a batch in the caller's transaction: stores the events to be retried, then finishes the batch or records
 * how far it got. Law 2: the position moves with the effect; the statement that moves it travels with COMMIT.
 */
export async function closeBatch(
  client: Client,
  consumer: ConsumerSpec,
  batch: Batch,
  retries: RetryRequests,
): Promise<Closing<ConsumeResult>> {
  const did = describe(batch, await storeRetries(client, consumer, batch, retries));
  if (batch.stopped) {
    const { lastEvent } = batch;
    const statement =
      lastEvent === undefined ? 'select' : `select pgq.set_batch_progress(${batch.id}, ${lastEvent})`;
    return new Closing(statement, () => ({ did, next: 'again' }));
  }
  return new Closing(`select pgq.close_batch(${batch.id}) as more`, (answer) => ({
    did,
    next: answer.rows[0].more ? 'again' : 'idle',
  }));
}

/** Of the events that were not handled: how many come again, and how many became dead letters. */
export type Unhandled = Pick<ConsumedBatch, 'retried' | 'dead'>;

/** Stores the requests collected so far. */
export async function storeRetries(
  client: Client,
  consumer: ConsumerSpec,
  batch: Batch,
  retries: RetryRequests,
): Promise<Unhandled> {
  const later: [EventId, number][] = [];
  const failed: [EventId, string][] = [];
  for (const [id, request] of retries) {
    if (typeof request === 'number') later.push([id, request]);
    else failed.push([id, request]);
  }
  if (later.length > 0) {
    await client.query('select pgq.event_retry_many($1, $2, $3)', [
      batch.id,
      later.map(([id]) => id),
      later.map(([, seconds]) => Math.ceil(seconds)),
    ]);
  }
  const dead = await storeFailures(client, consumer, batch.id, failed);
  return { retried: retries.size - dead, dead };
}

export const describe = (batch: Batch, { retried, dead }: Unhandled): ConsumedBatch => ({
  batch: batch.id,
  previousTick: batch.previousTick,
  tick: batch.tick,
  tickTime: batch.tickTime,
  events: batch.delivered,
  retried,
  dead,
  finished: !batch.stopped,
  skipped: false,
});

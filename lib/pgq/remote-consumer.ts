import type { Deadline } from '../platform/deadline.ts';
import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { Closing, transaction } from '../postgres/transaction.ts';
import { Batch, type BatchRow, newRetries } from './batch.ts';
import {
  type ConsumeResult,
  type ConsumerSpec,
  closeBatch,
  describe,
  holdBatch,
  mapped,
  openCommitted,
  readOptions,
  subjectOf,
} from './consumer.ts';
import { runHandler } from './handler.ts';
import { keepingAlive } from './keep-alive.ts';
import { lockInTarget } from './lock-in-target.ts';
import { batchQuery, readBlocks, readLarge } from './read-blocks.ts';
import { type BatchId, batchId, type Int8, type TickId, tickId } from './types.ts';

export interface RemoteContext {
  /** Connection to the target, inside the transaction that also records the batch there. */
  client: Client;
  /** Connection to the queue's database, inside the transaction that holds the batch: for reading. */
  source: Client;
  /** The batch's query on `source`, for handlers that move the rows without reading them here; its columns are those of pgq.get_batch_events. */
  eventSql: string;
  deadline: Deadline;
}

/** A handler whose effect is in another database. */
export interface RemoteHandler {
  handleBatch(batch: Batch, context: RemoteContext): unknown;
}

/** How the target knows what it has. */
interface Tracker {
  /** Whether the batch's effect is in the target already. Runs with the consumer locked there. */
  isDone(target: Client, batch: Batch): Promise<boolean>;
  /** Records the effect, in its transaction. */
  setDone(target: Client, batch: Batch): Promise<void>;
}

/**
 * One batch of a consumer whose effect is in another database, exactly once: the target records the batch in the
 * transaction of the effect (`pgq_ext.set_batch_done`), and the queue's database learns of it afterwards. The consumer's
 * name must be unique among all that write to the target.
 *
 * @param source connection to the queue's database
 * @param target connection to the database of the effect
 * @throws BusyError, HandlerError, DeadlineError, SkytoolsError as consumeBatch
 */
export async function consumeRemoteBatch(
  source: Client,
  target: Client,
  consumer: ConsumerSpec,
  handler: RemoteHandler,
  deadline: Deadline,
): Promise<ConsumeResult> {
  return consumeTracked(source, target, consumer, handler, deadline, byBatch);
}

/**
 * As consumeRemoteBatch, but the target keeps the tick it has reached (`pgq_ext.set_last_tick`), so that a queue moved back
 * or forth is noticed.
 *
 * @throws SkytoolsError PGQ_POSITION_LOST where the target is at neither end of the batch
 */
export async function consumeSerialBatch(
  source: Client,
  target: Client,
  consumer: ConsumerSpec,
  handler: RemoteHandler,
  deadline: Deadline,
): Promise<ConsumeResult> {
  return consumeTracked(source, target, consumer, handler, deadline, byTick);
}

const byBatch: Tracker = {
  async isDone(target, batch) {
    const { rows } = await target.query<{ done: boolean }>('select pgq_ext.is_batch_done($1, $2) as done', [
      batch.consumer,
      batch.id,
    ]);
    return rows[0]!.done;
  },
  async setDone(target, batch) {
    await target.query('select pgq_ext.set_batch_done($1, $2)', [batch.consumer, batch.id]);
  },
};

const byTick: Tracker = {
  async isDone(target, batch) {
    const { rows } = await target.query<{ tick: Int8 | null }>('select pgq_ext.get_last_tick($1) as tick', [
      batch.consumer,
    ]);
    const reached = rows[0]!.tick === null ? undefined : tickId(rows[0]!.tick);
    if (reached === undefined || reached === batch.previousTick) return false;
    if (reached === batch.tick) return true;
    throw positionLost(batch, reached);
  },
  async setDone(target, batch) {
    await target.query('select pgq_ext.set_last_tick($1, $2)', [batch.consumer, batch.tick]);
  },
};

const positionLost = (batch: Batch, reached: TickId) =>
  new SkytoolsError(
    'PGQ_POSITION_LOST',
    `batch from tick ${batch.previousTick} to ${batch.tick} does not continue the target, which is at tick ${reached}`,
    {
      subject: { queue: batch.queue, consumer: batch.consumer },
      hint: 'move the queue to the target (rewindConsumer), or forget the position of the target (resetConsumer)',
    },
  );

/** The target commits first: a crash before the queue's commit would lose the request. */
const retryRefused = (batch: Batch) =>
  new SkytoolsError(
    'PGQ_RETRY_REMOTE',
    'events of a consumer with its effect in another database cannot be retried',
    {
      subject: { queue: batch.queue, consumer: batch.consumer },
      hint: 'store what cannot be handled in a table of the target, in the same transaction',
    },
  );

async function consumeTracked(
  source: Client,
  target: Client,
  consumer: ConsumerSpec,
  handler: RemoteHandler,
  deadline: Deadline,
  tracker: Tracker,
): Promise<ConsumeResult> {
  const subject = subjectOf(consumer);
  deadline.check(`consumer ${consumer.consumer}`);
  return mapped(subject, async () => {
    // The target will know this batch by its id.
    const opened = await openCommitted(source, consumer);
    if (opened === undefined) return { did: undefined, next: 'idle' };
    const work = () =>
      applyHeld(source, target, consumer, batchId(opened.batch_id), handler, deadline, tracker);
    return await transaction(source, work, { deadline, subject });
  });
}

async function applyHeld(
  source: Client,
  target: Client,
  consumer: ConsumerSpec,
  id: BatchId,
  handler: RemoteHandler,
  deadline: Deadline,
  tracker: Tracker,
): Promise<ConsumeResult | Closing<ConsumeResult>> {
  const row = await holdBatch(source, consumer, id);
  if (row === undefined) return { did: undefined, next: 'again' };
  const retries = newRetries();
  const { batch, skipped } = await keepingAlive(source, () =>
    transaction(
      target,
      async () => {
        // Taken in a statement of its own, so that the next ones see what the last holder did.
        await lockInTarget(target, consumer.consumer, deadline);
        const from = await positionInTarget(target, consumer, row);
        const options = { ...readOptions(row), after: from };
        const batch = new Batch(
          consumer,
          { ...row, done_event: from ?? null },
          () => (row.large ? readLarge : readBlocks)(source, options, retries),
          deadline,
          true,
        );
        if (await tracker.isDone(target, batch)) return { batch, skipped: true };
        const context = { client: target, source, eventSql: batchQuery(options), deadline };
        const bound = { handleBatch: (events: Batch) => handler.handleBatch(events, context) };
        await keepingAlive(target, () => runHandler(bound, batch, context));
        if (retries.size > 0) throw retryRefused(batch);
        // Law 2: the target's checkpoint commits with the effect.
        if (batch.stopped) await recordPosition(target, batch);
        else await tracker.setDone(target, batch);
        return { batch, skipped: false };
      },
      { deadline, subject: subjectOf(consumer) },
    ),
  );
  if (skipped) {
    return new Closing(`select pgq.close_batch(${id})`, () => ({
      did: { ...describe(batch, { retried: 0, dead: 0 }), skipped: true },
      next: 'again',
    }));
  }
  return closeBatch(source, consumer, batch, retries);
}

/** How far into the batch the target got. */
async function positionInTarget(
  target: Client,
  consumer: ConsumerSpec,
  row: BatchRow,
): Promise<bigint | undefined> {
  const { rows } = await target.query<{ event: Int8 | null }>(
    'select pgq_ext.get_batch_progress($1, $2) as event',
    [consumer.consumer, row.batch_id],
  );
  return rows[0]!.event === null ? undefined : BigInt(rows[0]!.event);
}

async function recordPosition(target: Client, batch: Batch): Promise<void> {
  await target.query('select pgq_ext.set_batch_progress($1, $2, $3)', [
    batch.consumer,
    batch.id,
    batch.lastEvent,
  ]);
}

/**
 * Moves the queue's registration to the tick that the target has reached.
 *
 * @returns that tick
 * @throws SkytoolsError PGQ_POSITION_UNKNOWN, PGQ_TICK_MISSING
 */
export async function rewindConsumer(
  source: Client,
  target: Client,
  consumer: ConsumerSpec,
): Promise<TickId> {
  return mapped(subjectOf(consumer), async () => {
    const { rows } = await target.query<{ tick: Int8 | null }>('select pgq_ext.get_last_tick($1) as tick', [
      consumer.consumer,
    ]);
    if (rows[0]!.tick === null) {
      throw new SkytoolsError('PGQ_POSITION_UNKNOWN', 'the target has no position of this consumer', {
        subject: subjectOf(consumer),
        hint: 'nothing was applied there yet by tick: register the consumer and run it',
      });
    }
    const tick = tickId(rows[0]!.tick);
    await source.query('select pgq.register_consumer_at($1, $2, $3)', [
      consumer.queue,
      consumer.consumer,
      tick,
    ]);
    return tick;
  });
}

/** Makes the target forget everything it knows of a consumer. */
export async function resetConsumer(target: Client, consumer: string): Promise<void> {
  await mapped({ consumer }, () => target.query('select pgq_ext.forget_consumer($1)', [consumer]));
}

import type { Deadline } from '../platform/deadline.ts';
import { errorMessage } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import type { Batch } from './batch.ts';
import { HandlerError, handlerError } from './errors.ts';
import type { PgqEvent } from './event.ts';

/** What a handler may use besides the events. */
export interface HandlerContext {
  /**
   * Connection to the database of the effect. For transactional consumers it is inside the transaction that also records
   * the batch as done: what is written through it is written exactly once.
   */
  client: Client;
  deadline: Deadline;
}

/** A handler for whole batches, or one for single events. A module that exports either function is one, too. */
export type Handler =
  | { handleBatch(batch: Batch, context: HandlerContext): unknown }
  | { handleEvent(event: PgqEvent, context: HandlerContext): unknown };

/**
 * How an event whose handler throws is set apart from the rest of its batch: `savepoint` also takes back what was written
 * for it in the transaction; `catch` is for handlers outside of one.
 */
export type EventGuard = 'savepoint' | 'catch';

/**
 * Runs a handler over a batch; what it throws says whose fault it was.
 *
 * @param guard for handlers of single events: what they throw fails the event, not the batch
 */
export async function runHandler(
  handler: Handler,
  batch: Batch,
  context: HandlerContext,
  guard?: EventGuard,
): Promise<void> {
  const subject = { queue: batch.queue, consumer: batch.consumer, batch: String(batch.id) };
  try {
    if ('handleBatch' in handler) await handler.handleBatch(batch, context);
    else {
      const handle = (event: PgqEvent) => handler.handleEvent(event, context);
      await batch.deliver(guard === undefined ? handle : guarded(handle, context.client, guard));
    }
  } catch (error) {
    throw handlerError(error, subject);
  }
}

/** The savepoint before the current event. */
const SAVEPOINT = 'skytools_event';

function guarded(
  handle: (event: PgqEvent) => unknown,
  client: Client,
  guard: EventGuard,
): (event: PgqEvent) => Promise<void> {
  let first = true;
  return async (event) => {
    if (guard === 'savepoint') {
      await client.query(`${first ? '' : `release savepoint ${SAVEPOINT}; `}savepoint ${SAVEPOINT}`);
      first = false;
    }
    try {
      await handle(event);
    } catch (error) {
      if (!isFaultOfEvent(error)) throw error;
      if (guard === 'savepoint') await client.query(`rollback to savepoint ${SAVEPOINT}`);
      event.fail(errorMessage(error));
    }
  };
}

/** Not so what passes by itself: a lost connection, a deadlock, a deadline. The whole batch comes again then. */
function isFaultOfEvent(error: unknown): boolean {
  const known = handlerError(error, {});
  return known instanceof HandlerError || !known.retryable;
}

import type { Deadline } from '../platform/deadline.ts';
import type { Client } from '../postgres/connect.ts';
import type { Batch } from './batch.ts';
import { handlerError } from './errors.ts';
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

/** Runs a handler over a batch; what it throws says whose fault it was. */
export async function runHandler(handler: Handler, batch: Batch, context: HandlerContext): Promise<void> {
  try {
    if ('handleBatch' in handler) await handler.handleBatch(batch, context);
    else await batch.deliver((event) => handler.handleEvent(event, context));
  } catch (error) {
    throw handlerError(error, { queue: batch.queue, consumer: batch.consumer, batch: String(batch.id) });
  }
}

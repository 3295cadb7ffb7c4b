import type { Deadline } from '../platform/deadline.ts';
import type { Client } from '../postgres/connect.ts';
import { type Closing, transaction } from '../postgres/transaction.ts';
import { Batch, newRetries } from './batch.ts';
import {
  busy,
  type ConsumeResult,
  type ConsumerSpec,
  closeBatch,
  holdBatch,
  interval,
  mapped,
  readOptions,
  subjectOf,
} from './consumer.ts';
import { type Handler, runHandler } from './handler.ts';
import { keepingAlive } from './keep-alive.ts';
import { readBlocks } from './read-blocks.ts';
import { type BatchId, batchId, type Int8 } from './types.ts';

export interface CoopConsumerSpec extends ConsumerSpec {
  /** The pool of subconsumer names; as many workers can be busy at once. */
  subconsumers: readonly string[];
  /** A member silent for so long loses its batch to another, unless its transaction is alive. In seconds. */
  deadAfterSeconds?: number | undefined;
}

/** The names of a pool of `size` subconsumers. Stable, so that a batch left behind is found again. */
export const subconsumerPool = (size: number): string[] =>
  Array.from({ length: size }, (_, index) => `s${index + 1}`);

/**
 * One batch of a cooperative consumer: draws a free name from the pool, takes the batch that member left behind or the
 * group's next one, and handles and finishes it in one transaction. The batch's allocation is committed before, so that
 * the group's other workers do not wait.
 *
 * @throws BusyError where every member of the pool is at work
 * @throws HandlerError, DeadlineError, SkytoolsError as consumeBatch
 */
export async function consumeCoopBatch(
  client: Client,
  consumer: CoopConsumerSpec,
  handler: Handler,
  deadline: Deadline,
): Promise<ConsumeResult> {
  const subject = subjectOf(consumer);
  deadline.check(`consumer ${consumer.consumer}`);
  return mapped(subject, async () => {
    const names = [...consumer.subconsumers];
    // A member may be claimed by another worker between the two transactions: each time, one name fewer to try.
    while (names.length > 0) {
      const allocated = await allocate(client, consumer, names);
      if (allocated === 'busy') break;
      if (allocated === 'idle') return { did: undefined, next: 'idle' };
      const result = await transaction(
        client,
        () => consumeAllocated(client, consumer, allocated.batch, handler, deadline),
        { deadline, subject },
      ).catch((error) => {
        if ((error as { code?: string }).code === 'UNIT_BUSY') return undefined;
        throw error;
      });
      if (result) return result;
      names.splice(names.indexOf(allocated.name), 1);
    }
    throw busy(consumer);
  });
}

async function allocate(
  client: Client,
  consumer: CoopConsumerSpec,
  names: string[],
): Promise<{ name: string; batch: BatchId } | 'idle' | 'busy'> {
  const { rows } = await client.query<{ subconsumer_name: string | null; batch_id: Int8 | null }>(
    'select * from pgq_coop.next_free_batch($1, $2, $3, $4, $5, $6, $7)',
    [
      consumer.queue,
      consumer.consumer,
      names,
      interval(consumer.minLagSeconds),
      consumer.minCount ?? null,
      interval(consumer.minIntervalSeconds),
      interval(consumer.deadAfterSeconds),
    ],
  );
  const { subconsumer_name: name, batch_id: id } = rows[0]!;
  if (name === null) return 'busy';
  return id === null ? 'idle' : { name, batch: batchId(id) };
}

async function consumeAllocated(
  client: Client,
  consumer: CoopConsumerSpec,
  id: BatchId,
  handler: Handler,
  deadline: Deadline,
): Promise<ConsumeResult | Closing<ConsumeResult | undefined> | undefined> {
  const row = await holdBatch(client, consumer, id);
  if (row === undefined) return undefined;
  const retries = newRetries();
  const batch = new Batch(consumer, row, () => readBlocks(client, readOptions(row), retries), deadline, true);
  await keepingAlive(client, () =>
    runHandler(handler, batch, { client, deadline }, consumer.retries && 'savepoint'),
  );
  return closeBatch(client, consumer, batch, retries);
}

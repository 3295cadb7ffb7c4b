import type { Deadline } from '../platform/deadline.ts';
import { BusyError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import {
  busy,
  type ConsumeResult,
  type ConsumerSpec,
  consumeBatch,
  interval,
  mapped,
  subjectOf,
} from './consumer.ts';
import type { Handler } from './handler.ts';
import { IDLE_MEMBER_SECONDS } from './subconsumer-pool.ts';
import type { Int8 } from './types.ts';

export interface CoopConsumerSpec extends ConsumerSpec {
  /** The pool of subconsumer names; as many workers can be busy at once. */
  subconsumers: readonly string[];
  /** A member silent for so long loses its batch to another, unless its transaction is alive. In seconds. */
  deadAfterSeconds?: number | undefined;
}

/**
 * One batch of a cooperative consumer: draws a free name from the pool, takes the batch that member left behind or the
 * group's next one, and handles and finishes it in one transaction. The batch's allocation is committed before, so that
 * the group's other workers do not wait.
 *
 * @throws BusyError where every member of the pool is at work
 * @throws HandlerError, DeadlineError, SkytoolsError as consumeBatch
 */
export const consumeCoopBatch = (
  client: Client,
  consumer: CoopConsumerSpec,
  handler: Handler,
  deadline: Deadline,
): Promise<ConsumeResult> =>
  consumeMemberBatch(client, consumer, (member) => consumeBatch(client, member, handler, deadline));

/**
 * One batch of a cooperative consumer, by any verb. Where there is none, members of the pool that have been idle for a
 * minute are taken back.
 *
 * @param client connection to the queue's database
 * @param consume runs one batch of the consumer it is given: consumeBatch, consumeLeasedBatch
 * @throws BusyError where every member of the pool is at work
 * @throws what `consume` throws
 */
export async function consumeMemberBatch(
  client: Client,
  consumer: CoopConsumerSpec,
  consume: (member: ConsumerSpec) => Promise<ConsumeResult>,
): Promise<ConsumeResult> {
  const names = [...consumer.subconsumers];
  // A member may be claimed by another worker after it was drawn: each time, one name fewer to try.
  while (names.length > 0) {
    const { name, batch } = await mapped(subjectOf(consumer), () => allocate(client, consumer, names));
    if (name === null) break;
    if (batch === null) {
      await mapped(subjectOf(consumer), () => unregisterIdle(client, consumer));
      return { did: undefined, next: 'idle' };
    }
    try {
      const result = await consume({ ...consumer, consumer: `${consumer.consumer}.${name}` });
      if (result.did) return result;
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
    }
    names.splice(names.indexOf(name), 1);
  }
  throw busy(consumer);
}

async function allocate(
  client: Client,
  consumer: CoopConsumerSpec,
  names: string[],
): Promise<{ name: string | null; batch: Int8 | null }> {
  const { rows } = await client.query<{ name: string | null; batch: Int8 | null }>(
    'select subconsumer_name as name, batch_id as batch from pgq_coop.next_free_batch($1, $2, $3, $4, $5, $6, $7)',
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
  return rows[0]!;
}

async function unregisterIdle(client: Client, consumer: CoopConsumerSpec): Promise<void> {
  await client.query('select pgq_coop.unregister_idle($1, $2, $3, $4)', [
    consumer.queue,
    consumer.consumer,
    consumer.subconsumers,
    interval(IDLE_MEMBER_SECONDS),
  ]);
}

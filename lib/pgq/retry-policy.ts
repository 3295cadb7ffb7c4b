import type { Client } from '../postgres/connect.ts';
import type { BatchId, EventId } from './types.ts';

/** How often, and after how long, an event that its handler cannot handle is delivered again. */
export interface RetryPolicy {
  /** Deliveries after the first one; after them the event is a dead letter. */
  maximum: number;
  /** Time to the first repetition; doubled each time, and up to a fifth of it left out at random. */
  baseSeconds: number;
  /** The longest time between two deliveries. */
  maximumSeconds: number;
}

/**
 * Hands the failed events of an open batch to the consumer's policy. The policy of the configuration reaches the database
 * here, where it is needed first, so that it costs nothing while all goes well.
 *
 * @returns how many of them are dead letters now
 */
export async function storeFailures(
  client: Client,
  consumer: { queue: string; consumer: string; retries?: RetryPolicy | undefined },
  batch: BatchId,
  failed: readonly (readonly [id: EventId, reason: string])[],
): Promise<number> {
  if (failed.length === 0) return 0;
  const { queue, consumer: name, retries: policy } = consumer;
  if (policy !== undefined) {
    await client.query('select pgq.set_retry_policy($1, $2, $3, $4, $5)', [
      queue,
      name,
      policy.maximum,
      `${policy.baseSeconds} seconds`,
      `${policy.maximumSeconds} seconds`,
    ]);
  }
  const { rows } = await client.query<{ dead: number }>(
    "select count(*)::int4 as dead from pgq.event_fail_many($1, $2, $3) where outcome = 'dead'",
    [batch, failed.map(([id]) => id), failed.map(([, reason]) => reason)],
  );
  return rows[0]!.dead;
}

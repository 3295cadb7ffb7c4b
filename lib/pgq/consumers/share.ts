import type { Client } from '../../postgres/connect.ts';
import type { ConsumeResult, ConsumerSpec } from '../consumer.ts';
import { consumeMemberBatch } from '../coop-consumer.ts';
import { consumeKeyedBatch, type OrderingKey } from '../keyed-consumer.ts';
import { subconsumerPool } from '../subconsumer-pool.ts';

/** How a consumer of the configuration is shared by workers. */
export interface SharedConsumer extends ConsumerSpec {
  subconsumers: number;
  orderingKey?: OrderingKey | undefined;
  deadAfterSeconds: number;
}

/**
 * One batch of a consumer, as the configuration has it shared: by the batch, by the key, or not at all.
 *
 * @param client connection to the queue's database
 * @param consume runs one batch of the consumer, subconsumer or slot that it is given
 */
export function consumeShared(
  client: Client,
  consumer: SharedConsumer,
  consume: (member: ConsumerSpec) => Promise<ConsumeResult>,
): Promise<ConsumeResult> {
  const { orderingKey, subconsumers } = consumer;
  if (orderingKey)
    return consumeKeyedBatch(client, { ...consumer, orderingKey, slots: subconsumers }, consume);
  if (subconsumers > 0)
    return consumeMemberBatch(client, { ...consumer, subconsumers: subconsumerPool(subconsumers) }, consume);
  return consume(consumer);
}

import { BusyError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { busy, type ConsumeResult, type ConsumerSpec, mapped, subjectOf } from './consumer.ts';

/** Field of an event that holds its ordering key. */
export type OrderingKey = 'type' | 'extra1' | 'extra2' | 'extra3' | 'extra4';

export interface KeyedConsumerSpec extends ConsumerSpec {
  /** Events with the same value here are handled one after the other. */
  orderingKey: OrderingKey;
  /** The events are dealt to so many slots; as many workers can be busy at once. */
  slots: number;
}

/**
 * One batch of a consumer that keeps the order of each key: draws a slot of the group that nobody works on and runs one
 * batch of it. A slot is a consumer of its own that sees the events of its keys only, and is held by a row lock or a lease
 * like any other; so the events of one key are handled one at a time and in order, also when a worker dies, another takes
 * over, or the number of slots changes.
 *
 * @param client connection to the queue's database
 * @param consume runs one batch of the consumer it is given: consumeBatch, consumeLeasedBatch, consumeRemoteBatch
 * @throws BusyError where others are at work on every slot that has something to do
 * @throws what `consume` throws
 */
export async function consumeKeyedBatch(
  client: Client,
  consumer: KeyedConsumerSpec,
  consume: (slot: ConsumerSpec) => Promise<ConsumeResult>,
): Promise<ConsumeResult> {
  const tried: string[] = [];
  let refused = false;
  for (;;) {
    const slot = await nextSlot(client, consumer, tried);
    if (slot.name === null) {
      if (slot.working || refused) throw busy(consumer);
      return { did: undefined, next: 'idle' };
    }
    const conditions = slot.arriving && {
      minLagSeconds: undefined,
      minCount: undefined,
      minIntervalSeconds: undefined,
    };
    try {
      const result = await consume({ ...consumer, ...conditions, consumer: slot.name });
      if (result.did) return result;
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      refused = true;
    }
    // Its batch is not ripe, or another worker was faster.
    tried.push(slot.name);
  }
}

interface Slot {
  name: string | null;
  arriving: boolean;
  working: boolean;
}

const nextSlot = (client: Client, consumer: KeyedConsumerSpec, tried: string[]): Promise<Slot> =>
  mapped(subjectOf(consumer), async () => {
    const { rows } = await client.query<Slot>(
      `select consumer_name as name, arriving, working
         from pgq_coop.next_key_slot($1, $2, $3, $4, $5)`,
      [consumer.queue, consumer.consumer, `ev_${consumer.orderingKey}`, consumer.slots, tried],
    );
    return rows[0]!;
  });

import type { ConsumerOfKind } from '../../platform/config.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import type { Batch } from '../batch.ts';
import type { PgqEvent } from '../event.ts';
import { Producer } from '../producer.ts';

export type QueueSplitterOptions = Pick<
  ConsumerOfKind<'queue-splitter'>,
  'by' | 'expression' | 'queues' | 'unmatched'
>;

/** Stands in the map for every value that is not named. */
const ANY_OTHER = '*';

/**
 * Distributes the events of a queue over several, by a field or by an SQL expression over the event's columns; each keeps
 * its time and payload and gets a new id, and the order of events holds within each target queue. Exactly once, for
 * consumeBatch where the queues are in the same database, and for consumeRemoteBatch.
 *
 * @param own the queue that is split, where the others are in its own database
 * @throws SkytoolsError SPLIT_NO_QUEUE, SPLIT_INTO_ITSELF, PGQ_QUEUE_MISSING
 */
export function queueSplitter(options: QueueSplitterOptions, own?: string) {
  const producers = new Map<string, Producer>();
  return {
    async handleBatch(batch: Batch, { client }: { client: Client }): Promise<void> {
      for await (const block of batch.blocks()) {
        const values = await routingValues(client, options, block);
        const byQueue = Map.groupBy(block, (event) => queueOf(options, batch, event, values.get(event)));
        for (const [queue, events] of byQueue) {
          if (queue === undefined) continue;
          if (queue === own) throw intoItself(batch);
          const producer = producers.get(queue) ?? new Producer(queue);
          producers.set(queue, producer);
          await producer.insertMany(client, events);
        }
      }
    },
  };
}

const intoItself = (batch: Batch) =>
  new SkytoolsError('SPLIT_INTO_ITSELF', `events of queue ${batch.queue} would go into it again, for ever`, {
    subject: { queue: batch.queue, consumer: batch.consumer },
    hint: 'map the value that names the queue itself to another under "queues"',
  });

/** Undefined: the event goes nowhere. */
function queueOf(
  { queues, unmatched }: QueueSplitterOptions,
  batch: Batch,
  event: PgqEvent,
  value: string | null | undefined,
): string | undefined {
  const known = value ?? undefined;
  const queue =
    queues === undefined
      ? known
      : ((known !== undefined && Object.hasOwn(queues, known) ? queues[known] : undefined) ??
        queues[ANY_OTHER]);
  if (queue !== undefined || unmatched === 'skip') return queue;
  throw new SkytoolsError('SPLIT_NO_QUEUE', `event ${event.id} belongs to no queue`, {
    subject: { queue: batch.queue, consumer: batch.consumer, event: String(event.id) },
    hint: `name a queue for its value under "queues", or for all others as '${ANY_OTHER}', or pass over such events with unmatched: 'skip'`,
  });
}

/** The value of each event that its queue depends on. */
async function routingValues(
  client: Client,
  { by, expression }: QueueSplitterOptions,
  block: readonly PgqEvent[],
): Promise<Map<PgqEvent, string | null>> {
  if (expression === undefined) return new Map(block.map((event) => [event, event[by]]));
  // The events travel once more, so that the expression sees the same columns whichever database they came from.
  const columns: (string | null)[][] = [
    block.map((event) => String(event.id)),
    block.map((event) => event.timeText),
    block.map((event) => event.type),
    block.map((event) => event.data),
    block.map((event) => event.extra1),
    block.map((event) => event.extra2),
    block.map((event) => event.extra3),
    block.map((event) => event.extra4),
  ];
  const { rows } = await client.query<{ value: string | null }>(
    `select (${expression})::text as value
       from unnest($1::int8[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
            with ordinality as e (ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4, place)
      order by place`,
    columns,
  );
  return new Map(block.map((event, index) => [event, rows[index]!.value]));
}

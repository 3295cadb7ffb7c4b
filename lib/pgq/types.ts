declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Name of a queue; any text. */
export type QueueName = Branded<string, 'QueueName'>;
/** Name of a consumer; any text. A subconsumer's is `consumer.subconsumer`. */
export type ConsumerName = Branded<string, 'ConsumerName'>;
/** Number of a tick, counted per queue. */
export type TickId = Branded<bigint, 'TickId'>;
/** Number of a batch, counted per database. */
export type BatchId = Branded<bigint, 'BatchId'>;
/** Number of an event, counted per queue. */
export type EventId = Branded<bigint, 'EventId'>;

/** What pg returns for an int8: bigint on our connections, text on others. */
export type Int8 = bigint | string | number;

export const queueName = (name: string): QueueName => name as QueueName;
export const consumerName = (name: string): ConsumerName => name as ConsumerName;
export const tickId = (value: Int8): TickId => BigInt(value) as TickId;
export const batchId = (value: Int8): BatchId => BigInt(value) as BatchId;
export const eventId = (value: Int8): EventId => BigInt(value) as EventId;

/** What a unit of work did, and whether there is more of it to do now. */
export interface UnitResult<Did> {
  did: Did;
  /** `again`: the same unit has more to do at once. `idle`: the next tick will tell. */
  next: 'again' | 'idle';
}

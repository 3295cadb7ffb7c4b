export { Batch } from './batch.ts';
export { decodeJsonRow, encodeJsonRow } from './codecs/json.ts';
export { decodeRowChange, keyColumnsOf, type RowChange, type RowEvent } from './codecs/row-change.ts';
export {
  decodeSqlFragment,
  encodeSqlFragment,
  type RowOperation,
  type SqlFragment,
} from './codecs/sql-fragment.ts';
export { decodeUrlencoded, encodeUrlencoded, type TextRow } from './codecs/urlencoded.ts';
export { type ConsumedBatch, type ConsumeResult, type ConsumerSpec, consumeBatch } from './consumer.ts';
export { type ApplyRowsOptions, applyRows } from './consumers/apply-rows.ts';
export { type QueueLoaderOptions, queueLoader } from './consumers/queue-loader.ts';
export { type QueueMoverOptions, queueMover } from './consumers/queue-mover.ts';
export { type QueueSplitterOptions, queueSplitter } from './consumers/queue-splitter.ts';
export { type TableDispatcherOptions, tableDispatcher } from './consumers/table-dispatcher.ts';
export { type CoopConsumerSpec, consumeCoopBatch, consumeMemberBatch } from './coop-consumer.ts';
export { queueDueWork } from './due-work.ts';
export { HandlerError } from './errors.ts';
export { PgqEvent } from './event.ts';
export type { Handler, HandlerContext } from './handler.ts';
export { consumeKeyedBatch, type KeyedConsumerSpec, type OrderingKey } from './keyed-consumer.ts';
export { consumeLeasedBatch, type LeasedConsumerSpec } from './leased-consumer.ts';
export {
  MAINTENANCE_LIMITS,
  type MaintenanceLimits,
  type MaintenanceStep,
  maintain,
} from './maintenance.ts';
export { type NewEvent, Producer } from './producer.ts';
export {
  configureQueue,
  createQueue,
  dropQueue,
  type QueueSettings,
  registerConsumer,
  registerSubconsumer,
  type SeekTarget,
  seekConsumer,
  unregisterConsumer,
} from './queues.ts';
export {
  consumeRemoteBatch,
  consumeSerialBatch,
  type RemoteContext,
  type RemoteHandler,
  resetConsumer,
  rewindConsumer,
} from './remote-consumer.ts';
export type { RetryPolicy } from './retry-policy.ts';
export { type ConsumerStatus, consumerStatus, type QueueStatus, queueStatus } from './status.ts';
export { subconsumerPool } from './subconsumer-pool.ts';
export { forceTick, type TickResult, tick } from './ticker.ts';
export * from './types.ts';

/**
 * The public library: configuration, errors and the queue.
 *
 * @example
 * ```ts
 * import { defineConfig } from 'skytools';
 *
 * export default defineConfig({ databases: { app: { url: 'env:APP_URL' } } });
 * ```
 */

export { TickWaker, type TickWakerOptions } from './jobs/tick-waker.ts';
export * from './pgq/index.ts';
export type { Config, ConsumerConfig, DatabaseConfig } from './platform/config.ts';
export {
  type ConfigInput,
  type ConsumerInput,
  defineConfig,
  loadConfigFile,
  parseConfig,
} from './platform/config-file.ts';
export { Deadline } from './platform/deadline.ts';
export { BusyError, DeadlineError, type ErrorSubject, SkytoolsError, UsageError } from './platform/errors.ts';
export { type ConnectOptions, connect, disconnect } from './postgres/connect.ts';
export { CommitUnknownError, ConnectionError, PostgresError } from './postgres/errors.ts';
export { type TransactionOptions, transaction } from './postgres/transaction.ts';

import type { Config, ConsumerOfKind } from '../../platform/config.ts';

/** The queue that `skytools smoke` writes to, the one it expects the events in, and the consumer between them. */
export const SMOKE_QUEUE = 'skytools_smoke';
export const SMOKE_MOVED_QUEUE = 'skytools_smoke_moved';
export const SMOKE_CONSUMER = 'skytools_smoke';

/** Its key in the configuration that is bundled with the functions. */
export const smokeConsumerKey = (database: string): string => `skytools_smoke:${database}`;

/**
 * Adds the consumer of `skytools smoke` for each database. It is registered in no queue unless that command is running, so
 * it is never due otherwise.
 */
export function withSmokeConsumers(config: Config): Config {
  const consumers = Object.keys(config.databases).map((database): [string, ConsumerOfKind<'queue-mover'>] => [
    smokeConsumerKey(database),
    {
      kind: 'queue-mover',
      database,
      queue: SMOKE_QUEUE,
      consumer: SMOKE_CONSUMER,
      target: database,
      targetQueue: SMOKE_MOVED_QUEUE,
      subconsumers: 0,
      deadAfterSeconds: 1800,
    },
  ]);
  return { ...config, consumers: { ...config.consumers, ...Object.fromEntries(consumers) } };
}

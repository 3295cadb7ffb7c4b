import type pg from 'pg';
import { type Config, entry } from '../../platform/config.ts';
import type { Deadline } from '../../platform/deadline.ts';
import { UsageError } from '../../platform/errors.ts';
import { type ConsumeResult, consumeBatch } from '../consumer.ts';
import type { Handler } from '../handler.ts';
import { consumeLeasedBatch } from '../leased-consumer.ts';
import { consumeRemoteBatch, type RemoteHandler } from '../remote-consumer.ts';
import { applyRows } from './apply-rows.ts';
import type { HandlerLoader } from './bundled-handler.ts';
import type { Destination } from './forward/destination.ts';
import { eventbridgeDestination } from './forward/eventbridge.ts';
import { type Breaker, forwardBatch } from './forward/forward.ts';
import { httpDestination } from './forward/http.ts';
import { snsDestination } from './forward/sns.ts';
import { sqsDestination } from './forward/sqs.ts';
import { queueLoader } from './queue-loader.ts';
import { queueMover } from './queue-mover.ts';
import { queueSplitter } from './queue-splitter.ts';
import { archiveBatch } from './s3-archive.ts';
import { consumeShared } from './share.ts';
import { tableDispatcher } from './table-dispatcher.ts';

/** What running a configured consumer needs: the databases, and how long it may take. */
export interface ConsumerScope {
  config: Config;
  deadline: Deadline;
  database<T>(name: string, body: (client: pg.Client) => Promise<T>): Promise<T>;
}

/**
 * One batch of a consumer of the configuration.
 *
 * @param key the consumer's key under `consumers`
 * @throws UsageError PGQ_CONSUMER_UNKNOWN where it is not configured; else as the verb for its kind
 */
export async function runConsumer(
  key: string,
  scope: ConsumerScope,
  load: HandlerLoader,
): Promise<ConsumeResult> {
  const consumer = entry(scope.config.consumers, key);
  if (consumer === undefined) {
    throw new UsageError('PGQ_CONSUMER_UNKNOWN', `consumer "${key}" is not configured`, {
      subject: { consumer: key },
      hint: 'add it under "consumers" in skytools.config.ts and deploy again, or let this message expire',
    });
  }
  const remote = (target: string, handler: RemoteHandler) =>
    scope.database(consumer.database, (source) =>
      scope.database(target, (client) =>
        consumeShared(source, consumer, (member) =>
          consumeRemoteBatch(source, client, member, handler, scope.deadline),
        ),
      ),
    );
  /** Exactly once: in the queue's own transaction where the target is the same database. */
  const into = (target: string, handler: Handler & RemoteHandler) =>
    target === consumer.database
      ? scope.database(target, (client) =>
          consumeShared(client, consumer, (member) => consumeBatch(client, member, handler, scope.deadline)),
        )
      : remote(target, handler);
  /** At least once. */
  const forward = (breaker: Breaker, destination: Destination, timeoutMs?: number) =>
    scope.database(consumer.database, (client) =>
      consumeShared(client, consumer, (member) =>
        forwardBatch(client, member, breaker, destination, scope.deadline, timeoutMs),
      ),
    );
  switch (consumer.kind) {
    case 'apply-rows':
      return remote(consumer.target, applyRows({ tables: consumer.tables }));
    case 'queue-mover':
      return remote(consumer.target, queueMover({ queue: consumer.targetQueue }));
    case 'queue-splitter': {
      const target = consumer.target ?? consumer.database;
      return into(target, queueSplitter(consumer, target === consumer.database ? consumer.queue : undefined));
    }
    case 'queue-loader':
      return into(consumer.target, queueLoader(consumer));
    case 'table-dispatcher':
      return into(consumer.target, tableDispatcher(consumer));
    case 'http':
      return forward(consumer, await httpDestination(consumer), consumer.timeoutSeconds * 1000);
    case 'sqs':
      return forward(consumer, sqsDestination(consumer));
    case 'sns':
      return forward(consumer, await snsDestination(consumer));
    case 'eventbridge':
      return forward(consumer, await eventbridgeDestination(consumer));
    case 's3-archive':
      return scope.database(consumer.database, (client) =>
        consumeShared(client, consumer, (member) => archiveBatch(client, member, consumer, scope.deadline)),
      );
    case 'handler': {
      const handler = await load(key);
      const verb = consumer.transactional ? consumeBatch : consumeLeasedBatch;
      return scope.database(consumer.database, (client) =>
        consumeShared(client, consumer, (member) => verb(client, member, handler, scope.deadline)),
      );
    }
  }
}

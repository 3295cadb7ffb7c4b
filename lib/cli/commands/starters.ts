import type { ConsumerConfig } from '../../platform/config.ts';

/** A ready-made consumer as `skytools new consumer` begins it. */
interface Starter {
  /** What it does, for its comment. */
  does: string;
  /** Guide that explains its keys. */
  guide: string;
  /** Keys besides kind, database and queue, with values to be replaced; `secret` names an environment variable. */
  settings: (secret: string) => Record<string, unknown>;
}

/** Database of the effect, where a kind has one. */
export const STARTER_TARGET = 'stats';

/** Every kind but `handler`, whose starter is code. */
export const STARTERS: Record<Exclude<ConsumerConfig['kind'], 'handler'>, Starter> = {
  'queue-mover': {
    does: 'Moves events into a queue of another database, exactly once.',
    guide: 'splitting',
    settings: () => ({ target: STARTER_TARGET, targetQueue: 'incoming' }),
  },
  'queue-splitter': {
    does: 'Distributes events over several queues of the same database by their type, exactly once.',
    guide: 'splitting',
    settings: () => ({ by: 'type', queues: { placed: 'orders_placed', '*': 'orders_rest' } }),
  },
  'apply-rows': {
    does: 'Applies captured rows to the same tables of another database, exactly once.',
    guide: 'loading',
    settings: () => ({ target: STARTER_TARGET }),
  },
  'queue-loader': {
    does: 'Loads every image of captured rows into monthly partitions, exactly once.',
    guide: 'loading',
    settings: () => ({
      target: STARTER_TARGET,
      tables: {
        'public.orders': {
          into: 'public.order_history',
          rowMode: 'keep_all',
          partition: { time: 'event', every: 'month' },
        },
      },
    }),
  },
  'table-dispatcher': {
    does: 'Appends every event as a row of one table, in daily partitions, exactly once.',
    guide: 'loading',
    settings: () => ({
      target: STARTER_TARGET,
      table: 'public.event_log',
      fields: { id: 'id', 'pgq.ev_type': 'type', 'pgq.ev_time': 'seen_at' },
      partition: { field: 'seen_at', every: 'day' },
    }),
  },
  http: {
    does: 'Posts events to a web service, signed, at least once.',
    guide: 'http',
    settings: (secret) => ({
      url: 'https://example.com/events',
      secret: `env:${secret}`,
      retries: { maximum: 5, baseSeconds: 10, maximumSeconds: 3600 },
    }),
  },
  sqs: {
    does: 'Sends events to an SQS queue, at least once.',
    guide: 'aws',
    settings: () => ({
      queueUrl: 'https://sqs.eu-west-1.amazonaws.com/123456789012/orders',
      attributes: { type: '{type}' },
    }),
  },
  sns: {
    does: 'Publishes events to an SNS topic, at least once.',
    guide: 'aws',
    settings: () => ({
      topicArn: 'arn:aws:sns:eu-west-1:123456789012:orders',
      attributes: { type: '{type}' },
    }),
  },
  eventbridge: {
    does: 'Puts events on an EventBridge bus, at least once.',
    guide: 'aws',
    settings: () => ({ eventBus: 'default', source: 'com.example.orders', detailType: '{type}' }),
  },
  's3-archive': {
    does: 'Keeps events as compressed NDJSON objects of five minutes, exactly once.',
    guide: 's3-archive',
    settings: () => ({ bucket: 'example-events', minIntervalSeconds: 300 }),
  },
};

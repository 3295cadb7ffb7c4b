import { z } from 'zod';
import { base, EVENT_FIELDS, name, retries, secret, TIME_FIELDS, template } from './consumer-fields.ts';

/* The consumers that bring events to other services. */

/**
 * How a destination that does not answer is tried: so often in one run, then by one request at a time after `probeSeconds`,
 * doubled up to `maximumProbeSeconds`. Four attempts within some seconds ride out a restart behind a load balancer.
 */
const breaker = {
  attempts: z.int().min(1).max(10).default(4),
  probeSeconds: z.number().min(1).default(30),
  maximumProbeSeconds: z.number().min(1).max(86_400).default(900),
};

/** What is sent of an event: all of it as JSON, or its ev_data alone. */
const body = z.enum(['event', 'data']).default('event');
/** ev_data inside that JSON: as text, or as the JSON value that it is. */
const data = z.enum(['text', 'json']).default('text');

/** Posts events to a web service. */
export const http = z.strictObject({
  kind: z.literal('http'),
  url: z.union([z.url({ protocol: /^https?$/, error: 'must be an http(s) URL or a reference' }), secret]),
  /** ndjson: one event a line; json: an array; event: one request for each event. */
  format: z.enum(['ndjson', 'json', 'event']).default('ndjson'),
  data,
  /** Limits of one request. A block of events that is read at once holds 500. */
  maximumEvents: z.int().min(1).max(500).default(100),
  maximumBytes: z.int().min(1024).default(1_048_576),
  timeoutSeconds: z.number().min(0.1).max(300).default(15),
  /** Signs requests (Standard Webhooks); several while one takes the place of another. */
  secret: z.union([secret, z.array(secret).min(1)]).optional(),
  /** Further headers; a value may be a reference. */
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]+$/, 'is no header name'), name).default({}),
  retries: retries.optional(),
  ...breaker,
  ...base,
});

/** Names that SQS and SNS allow for attributes, and what fills them. Ten are the most that both take. */
const attributes = z
  .record(z.string().regex(/^[\w.-]{1,256}$/, 'is no attribute name'), template(EVENT_FIELDS))
  .refine((given) => Object.keys(given).length <= 10, { message: 'must not be more than ten' })
  .default({});

const forwarding = { body, data, retries: retries.optional(), ...breaker, ...base };

/** Sends events to an SQS queue. */
export const sqs = z
  .strictObject({
    kind: z.literal('sqs'),
    queueUrl: z.url({ protocol: /^https?$/ }),
    attributes,
    /** For FIFO queues: what keeps its order. */
    groupId: template(EVENT_FIELDS).optional(),
    maximumBytes: z.int().min(1024).max(1_048_576).default(1_048_576),
    ...forwarding,
  })
  .refine((given) => given.queueUrl.endsWith('.fifo') === (given.groupId !== undefined), {
    path: ['groupId'],
    message: 'goes with a FIFO queue, and a FIFO queue needs it',
  });

/** Publishes events to an SNS topic. */
export const sns = z
  .strictObject({
    kind: z.literal('sns'),
    topicArn: z.string().regex(/^arn:[\w-]+:sns:[\w-]+:\d{12}:[\w.-]+$/, 'is no ARN of a topic'),
    attributes,
    subject: template(EVENT_FIELDS).optional(),
    /** For FIFO topics: what keeps its order. */
    groupId: template(EVENT_FIELDS).optional(),
    /** The topic's MaximumMessageSize. */
    maximumBytes: z.int().min(1024).max(1_048_576).default(262_144),
    ...forwarding,
  })
  .refine((given) => given.topicArn.endsWith('.fifo') === (given.groupId !== undefined), {
    path: ['groupId'],
    message: 'goes with a FIFO topic, and a FIFO topic needs it',
  });

/** Puts events on an EventBridge bus. */
export const eventbridge = z.strictObject({
  kind: z.literal('eventbridge'),
  /** Name or ARN. */
  eventBus: name.default('default'),
  source: template(EVENT_FIELDS).default('skytools.{queue}'),
  detailType: template(EVENT_FIELDS).default('{type}'),
  maximumBytes: z.int().min(1024).max(1_048_576).default(262_144),
  ...forwarding,
});

/** Keeps events as compressed NDJSON objects. */
export const s3Archive = z.strictObject({
  kind: z.literal('s3-archive'),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'is no name of a bucket'),
  /** Default: the function's. */
  region: name.optional(),
  /** Without the suffix of the compression. Year to hour are those of the batch's end, in UTC. */
  key: template(
    ['database', 'queue', 'consumer', 'previousTick', 'tick', 'batch', 'event', ...TIME_FIELDS],
    ['tick', 'event'],
  ).default('{queue}/{year}/{month}/{day}/{previousTick}-{tick}-{event}.ndjson'),
  compression: z.enum(['zstd', 'gzip']).default('zstd'),
  data,
  /** Bytes of events before compression after which an object is complete. */
  objectBytes: z.int().min(65_536).max(268_435_456).default(33_554_432),
  ...base,
});

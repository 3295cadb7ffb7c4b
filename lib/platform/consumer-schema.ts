import { z } from 'zod';
import { base, name, retries, TIME_FIELDS, template } from './consumer-fields.ts';
import { eventbridge, http, s3Archive, sns, sqs } from './forwarder-schema.ts';

/*
 * The consumers of the configuration, one schema for each kind; their types are taken from here (config.ts). The reader's
 * reference is docs/reference/configuration.md.
 */

/** A handler of the user's: a module that exports `handleBatch` or `handleEvent`. */
const handler = z.strictObject({
  kind: z.literal('handler'),
  /** Module path relative to the config file. */
  handler: name,
  /**
   * True: the handler writes through its `client`, and the batch is finished in the same transaction. False: it works
   * elsewhere or takes long; a lease keeps other workers away, and events are delivered at least once.
   */
  transactional: z.boolean().default(true),
  /**
   * For `handleEvent`: an event at which it throws is delivered again, after doubling times (seconds) and at most `maximum`
   * times, then kept as a dead letter. Without it, the batch fails as a whole and comes again.
   */
  retries: retries.optional(),
  ...base,
});

/** Moves events into a queue of another database. */
const queueMover = z.strictObject({
  kind: z.literal('queue-mover'),
  target: name,
  targetQueue: name,
  ...base,
});

/** Applies rows captured by PgQ's trigger functions to tables of another database. */
const applyRows = z.strictObject({
  kind: z.literal('apply-rows'),
  target: name,
  /** Source `schema.table` → target `schema.table`, where they differ. */
  tables: z.record(name, name).optional(),
  ...base,
});

/** Distributes the events of one queue over several. */
const queueSplitter = z.strictObject({
  kind: z.literal('queue-splitter'),
  /** Database of the target queues; default: the queue's own. */
  target: name.optional(),
  /** The field of an event that says where it goes. */
  by: z.enum(['type', 'extra1', 'extra2', 'extra3', 'extra4']).default('extra1'),
  /** An SQL expression over the event's columns (`ev_type`, `ev_data` …) instead, evaluated in the target. */
  expression: name.optional(),
  /** Value → queue; `*` stands for every other value. Default: the value is the queue's name. */
  queues: z.record(name, name).optional(),
  /** An event that no queue is found for: stop there, or pass over it. */
  unmatched: z.enum(['stop', 'skip']).default('stop'),
  ...base,
});

/** One table for each hour, day, month or year, made when its first row comes. */
const partition = z
  .strictObject({
    /** Column of the target that holds the time. */
    field: name.optional(),
    /** Instead of a column: the time of the event, or that of the batch's end. */
    time: z.enum(['event', 'batch']).optional(),
    every: z.enum(['hour', 'day', 'month', 'year']).default('day'),
    /** Name of a partition without its schema; default `{table}_{year}_{month}_{day}`, as many parts as `every` asks for. */
    name: template(['table', ...TIME_FIELDS], ['table', 'year']).optional(),
    /** SQL that makes a partition, where the usual (a partition of the parent, or a table that inherits it) is not wanted. */
    template: template(['part', 'parent', 'pkey', 'from', 'to'], ['part']).optional(),
  })
  .refine((given) => (given.field === undefined) !== (given.time === undefined), {
    message: 'wants either "field" or "time"',
  });

/** What can be stored of an event besides the columns of its row. */
const SURROUNDINGS = [
  ...['id', 'time', 'txid', 'retry', 'type', 'data', 'extra1', 'extra2', 'extra3', 'extra4'].map(
    (field) => `pgq.ev_${field}`,
  ),
  'pgq.tick_id',
  'pgq.batch_time',
];

/** Target columns by the columns of the row, or by `pgq.ev_id`, `pgq.ev_time` … for what surrounds it. */
const fields = z.record(
  name.refine((field) => !field.startsWith('pgq.') || SURROUNDINGS.includes(field), {
    message: `is unknown; there are ${SURROUNDINGS.join(', ')}`,
  }),
  name,
);

const loadedTable = z.strictObject({
  /** Default: the table's own name. */
  into: name.optional(),
  /**
   * plain: insert, update, delete as they happened; keep_latest: the last image of each row, deletions passed over;
   * keep_all: every image, deletions passed over.
   */
  rowMode: z.enum(['plain', 'keep_latest', 'keep_all']).default('plain'),
  fields: fields.optional(),
  partition: partition.optional(),
});

/** Loads captured rows into tables and partitions. */
const queueLoader = z.strictObject({
  kind: z.literal('queue-loader'),
  target: name,
  /** By the table's name in the events; `*` for all others. Tables that are not named are passed over. */
  tables: z.record(name, loadedTable),
  /** Event types that are passed over; a `*` at the end stands for any rest. */
  ignoreTypes: z.array(name).default([]),
  ...base,
});

/** Appends all events of a queue to one table, or to its partitions. */
const tableDispatcher = z.strictObject({
  kind: z.literal('table-dispatcher'),
  target: name,
  table: name,
  fields: fields.optional(),
  partition: partition.optional(),
  ignoreTypes: z.array(name).default([]),
  ...base,
});

/** Any consumer, by its kind. */
export const consumerSchema = z.discriminatedUnion('kind', [
  handler,
  queueMover,
  applyRows,
  queueSplitter,
  queueLoader,
  tableDispatcher,
  http,
  sqs,
  sns,
  eventbridge,
  s3Archive,
]);

export type ValidatedConsumer = z.output<typeof consumerSchema>;

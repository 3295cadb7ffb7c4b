import * as v from 'valibot';
import { UsageError } from '../platform/errors.ts';

/**
 * Every message is a wake-up: it names work and carries no truth (law 1). `chain` counts how often a unit has called for
 * its own next run, and how often in a row without progress.
 */
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const chain = v.object({ hop: count, stalled: count });

/** The count of a chain; see guards.ts. */
export type Chain = v.InferOutput<typeof chain>;

const name = v.pipe(v.string(), v.minLength(1));
const envelope = { v: v.literal(1), chain: v.optional(chain) };

const schemas = {
  /** One `pgq.ticker()` of a database, then its due work. `spread`: also send the ticks of the rest of the minute. */
  tick: v.object({ ...envelope, kind: v.literal('tick'), database: name, spread: v.optional(v.boolean()) }),
  /** One round of maintenance of a database. */
  maintain: v.object({ ...envelope, kind: v.literal('maintain'), database: name }),
  /** One batch of a configured consumer (by its key in the configuration), as subconsumer number `member` if cooperative. */
  consume: v.object({
    ...envelope,
    kind: v.literal('consume'),
    database: name,
    consumer: name,
    member: v.optional(count),
  }),
  /** One batch of a Londiste node. */
  replay: v.object({ ...envelope, kind: v.literal('replay'), database: name, queue: name }),
  /**
   * One step of a copy into a database: of a subscribed table (its plan, a chunk, catching up), of a copy on demand by its
   * number, or the asking for some (lib/londiste/copy/order.ts reads `order`).
   */
  copy: v.object({
    ...envelope,
    kind: v.literal('copy'),
    database: name,
    queue: v.optional(name),
    table: v.optional(name),
    job: v.optional(name),
    order: v.optional(v.unknown()),
  }),
  /** One pull of WAL of a cluster, or the registration of an uploaded object. */
  'wal-archive': v.object({
    ...envelope,
    kind: v.literal('wal-archive'),
    cluster: name,
    key: v.optional(name),
  }),
  /** One part of a base backup, or an expiry round, of a cluster. */
  backup: v.object({ ...envelope, kind: v.literal('backup'), cluster: name, job: v.optional(name) }),
} as const;

export type JobKind = keyof typeof schemas;

/** All kinds, each of which has a queue and a dead-letter queue. */
export const JOB_KINDS = /* @__PURE__ */ Object.keys(schemas) as JobKind[];
export type JobMessage = { [Kind in JobKind]: v.InferOutput<(typeof schemas)[Kind]> }[JobKind];
export type JobOf<Kind extends JobKind> = Extract<JobMessage, { kind: Kind }>;

/**
 * Reads a message body.
 *
 * @throws UsageError JOB_INVALID; the message then goes to the dead-letter queue after its receives are used up
 */
export function parseJob<Kind extends JobKind>(kind: Kind, body: unknown): JobOf<Kind> {
  let value = body;
  if (typeof body === 'string') {
    try {
      value = JSON.parse(body);
    } catch {
      value = undefined;
    }
  }
  const result = v.safeParse(schemas[kind], value);
  if (result.success) return result.output as JobOf<Kind>;
  const problems = result.issues.map((issue) => `${v.getDotPath(issue) ?? '(top)'}: ${issue.message}`);
  throw new UsageError('JOB_INVALID', `not a ${kind} message of version 1: ${problems.join('; ')}`, {
    hint: 'messages are written by the functions themselves; docs/reference/messages.md shows the forms',
  });
}

import * as z from 'zod/mini';
import { UsageError } from '../platform/errors.ts';

/**
 * Every message is a wake-up: it names work and carries no truth (law 1). `chain` counts how often a unit has called for
 * its own next run, and how often in a row without progress.
 */
const chain = z.object({ hop: z.int().check(z.nonnegative()), stalled: z.int().check(z.nonnegative()) });

/** The count of a chain; see guards.ts. */
export type Chain = z.infer<typeof chain>;

const name = z.string().check(z.minLength(1));
const envelope = { v: z.literal(1), chain: z.optional(chain) };

const schemas = {
  /** One `pgq.ticker()` of a database, then its due work. `spread`: also send the ticks of the rest of the minute. */
  tick: z.object({ ...envelope, kind: z.literal('tick'), database: name, spread: z.optional(z.boolean()) }),
  /** One round of maintenance of a database. */
  maintain: z.object({ ...envelope, kind: z.literal('maintain'), database: name }),
  /** One batch of a configured consumer (by its key in the configuration), as subconsumer number `member` if cooperative. */
  consume: z.object({
    ...envelope,
    kind: z.literal('consume'),
    database: name,
    consumer: name,
    member: z.optional(z.int().check(z.nonnegative())),
  }),
  /** One batch of a Londiste node. */
  replay: z.object({ ...envelope, kind: z.literal('replay'), database: name, queue: name }),
  /** One chunk, or one step of the plan, of a table copy into a database. */
  copy: z.object({
    ...envelope,
    kind: z.literal('copy'),
    database: name,
    job: z.optional(name),
    table: z.optional(name),
  }),
  /** One pull of WAL of a cluster, or the registration of an uploaded object. */
  'wal-archive': z.object({
    ...envelope,
    kind: z.literal('wal-archive'),
    cluster: name,
    key: z.optional(name),
  }),
  /** One part of a base backup, or an expiry round, of a cluster. */
  backup: z.object({ ...envelope, kind: z.literal('backup'), cluster: name, job: z.optional(name) }),
} as const;

export type JobKind = keyof typeof schemas;
export type JobMessage = { [Kind in JobKind]: z.infer<(typeof schemas)[Kind]> }[JobKind];
export type JobOf<Kind extends JobKind> = Extract<JobMessage, { kind: Kind }>;

export const JOB_KINDS = Object.keys(schemas) as JobKind[];

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
  const result = schemas[kind].safeParse(value);
  if (result.success) return result.data as JobOf<Kind>;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || '(top)'}: ${issue.message}`);
  throw new UsageError('JOB_INVALID', `not a ${kind} message of version 1: ${problems.join('; ')}`, {
    hint: 'messages are written by the functions themselves; docs/reference/messages.md shows the forms',
  });
}

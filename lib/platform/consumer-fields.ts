import { z } from 'zod';
import { placeholdersOf } from './template.ts';

/* What the schemas of several kinds of consumers share. */

/** Any text but the empty one. */
export const name = z.string().min(1, 'must not be empty');
/** A time in seconds. */
export const seconds = z.number().nonnegative();

/** A secret, by reference only: the configuration is bundled with the functions in plain text. */
export const secret = z
  .string()
  .regex(/^(env|secretsmanager|ssm):.+$/, 'must be a reference: env:NAME, secretsmanager:ID or ssm:NAME');

/** A text with `{placeholders}`. */
export const template = (allowed: readonly string[], required: readonly string[] = []) =>
  name.superRefine((text, context) => {
    for (const used of placeholdersOf(text)) {
      if (allowed.includes(used)) continue;
      const known = allowed.map((each) => `{${each}}`).join(' ');
      context.addIssue({ code: 'custom', message: `{${used}} is unknown; there are ${known}` });
    }
    for (const each of required) {
      if (placeholdersOf(text).includes(each)) continue;
      context.addIssue({ code: 'custom', message: `must hold {${each}}` });
    }
  });

/** What an event and its batch give to a template. */
export const EVENT_FIELDS = [
  'id',
  'type',
  'extra1',
  'extra2',
  'extra3',
  'extra4',
  'queue',
  'consumer',
  'batch',
];
/** The parts of a time that a template may use. */
export const TIME_FIELDS = ['year', 'month', 'day', 'hour'];

/** What every consumer has. */
export const base = {
  /** Database (by its name in the configuration) that holds the queue. */
  database: name,
  queue: name,
  /** Name registered in the queue; default: the key in `consumers`. */
  consumer: name.optional(),
  /** next_batch_custom's limits: wait until a batch is this old, holds so many events, or spans so much time. */
  minLagSeconds: seconds.optional(),
  minCount: z.int().positive().optional(),
  minIntervalSeconds: seconds.optional(),
  /** More than 0 makes the consumer cooperative, with up to so many subconsumers at work at once. */
  subconsumers: z.int().min(0).max(1000).default(0),
  /** Deals the events to the subconsumers by this field, so that those with the same value are handled in order. */
  orderingKey: z.enum(['type', 'extra1', 'extra2', 'extra3', 'extra4']).optional(),
  /** A subconsumer silent for so long is taken over. Must exceed the function's time-out. */
  deadAfterSeconds: z.number().min(60).default(1800),
};

/** Five repetitions at 10, 20, 40, 80 and 160 s outlast a restart of whatever the handler needs. */
export const retries = z
  .strictObject({
    maximum: z.int().min(0).max(1000).default(5),
    baseSeconds: seconds.default(10),
    maximumSeconds: seconds.default(3600),
  })
  .refine((policy) => policy.maximumSeconds >= policy.baseSeconds, {
    path: ['maximumSeconds'],
    message: 'must not be less than baseSeconds',
  });

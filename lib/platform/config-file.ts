import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { Config } from './config.ts';
import { name, seconds } from './consumer-fields.ts';
import { consumerSchema, type ValidatedConsumer } from './consumer-schema.ts';
import { UsageError } from './errors.ts';

/** Keys name files in a bundle; a queue's own names may be anything. */
const key = z.string().regex(/^[\w.-]+$/, 'may hold letters, digits and _.- only');

/**
 * Ticks every 5 s cost about $0.65 a month for one database; a quarter of an hour is the
 * longest delay SQS knows, so an idle database is looked at again within it.
 */
const tick = z
  .strictObject({
    intervalSeconds: z.number().min(1).max(60).default(5),
    idleAfterSeconds: seconds.default(600),
    idleMaximumSeconds: z.number().min(0).max(900).default(0),
  })
  .prefault({});

const database = z.strictObject({
  url: name,
  tick,
  copies: z.int().min(1).max(100).optional(),
  rdsResourceId: z
    .string()
    .regex(/^(db|cluster|prx)-[A-Za-z0-9]+$/, 'is not a resource id of RDS: db-…, cluster-… or prx-…')
    .optional(),
});

const missingRows = z.enum(['ignore', 'stop', 'upsert']);

/** A Londiste node that is run here; lib/londiste/settings.ts has the defaults. */
const node = z.strictObject({
  database: name,
  queue: name,
  apply: z.enum(['set', 'strict']).optional(),
  missingRows: missingRows.optional(),
  tables: z.record(name, z.strictObject({ missingRows })).optional(),
  refusedEvents: z.enum(['stop', 'set-aside']).optional(),
  chunkBytes: z.int().min(8192).optional(),
  parallelCopies: z.int().min(1).optional(),
  minLagSeconds: seconds.optional(),
  minCount: z.int().positive().optional(),
  minIntervalSeconds: seconds.optional(),
});

/** Each slot reads the queue for itself: beyond this the reading costs more than the sharing gains. */
const MOST_SLOTS = 64;

/** Kinds whose events have to arrive in their order. */
const IN_ORDER: readonly string[] = ['apply-rows', 'queue-loader', 'queue-mover', 'queue-splitter'];

function sharingProblem({ kind, subconsumers, orderingKey }: ValidatedConsumer): string | undefined {
  if (orderingKey !== undefined && (subconsumers < 1 || subconsumers > MOST_SLOTS))
    return `with an orderingKey, must be 1 to ${MOST_SLOTS}`;
  if (orderingKey === undefined && subconsumers > 0 && IN_ORDER.includes(kind))
    return `a consumer of kind ${kind} keeps the order of events: set an orderingKey, too, or leave this out`;
  return undefined;
}

const schema = z
  .strictObject({
    databases: z.record(name, database),
    consumers: z.record(key, consumerSchema).default({}),
    londiste: z.strictObject({ nodes: z.record(name, node).default({}) }).prefault({}),
    walmgr: z.record(name, z.unknown()).default({}),
  })
  .superRefine((config, context) => {
    for (const [key, { database }] of Object.entries(config.londiste.nodes)) {
      if (database in config.databases) continue;
      context.addIssue({
        code: 'custom',
        path: ['londiste', 'nodes', key, 'database'],
        message: `database "${database}" is not configured under "databases"`,
      });
    }
    for (const [key, value] of Object.entries(config.consumers)) {
      if (value.kind === 'queue-splitter' && (value.target ?? value.database) === value.database) {
        for (const [from, queue] of Object.entries(value.queues ?? {})) {
          if (queue !== value.queue) continue;
          const message = 'is the queue that is split: its events would go round for ever';
          context.addIssue({ code: 'custom', path: ['consumers', key, 'queues', from], message });
        }
      }
      const problem = sharingProblem(value);
      if (problem)
        context.addIssue({ code: 'custom', path: ['consumers', key, 'subconsumers'], message: problem });
      for (const field of ['database', 'target'] as const) {
        const reference = field in value ? (value as Record<string, unknown>)[field] : undefined;
        if (typeof reference === 'string' && !(reference in config.databases)) {
          context.addIssue({
            code: 'custom',
            path: ['consumers', key, field],
            message: `database "${reference}" is not configured under "databases"`,
          });
        }
      }
    }
  });

/** What a user writes in skytools.config.ts: everything with a default may be left out. */
export type ConfigInput = z.input<typeof schema>;

/** One consumer as a user writes it. */
export type ConsumerInput = NonNullable<ConfigInput['consumers']>[string];

/** Gives skytools.config.ts its types; checking happens when it is read. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}

/**
 * Validates a configuration and fills in the defaults.
 *
 * @throws UsageError CONFIG_INVALID with the path of each wrong key
 */
export function parseConfig(input: unknown, file = 'skytools.config.ts'): Config {
  const result = schema.safeParse(input);
  if (!result.success) {
    const problems = result.error.issues.map(
      (issue) => `${issue.path.join('.') || '(top)'}: ${issue.message}`,
    );
    throw new UsageError('CONFIG_INVALID', `configuration refused: ${problems.join('; ')}`, {
      subject: { file },
      hint: 'correct the keys named; docs/reference/configuration.md lists them all',
    });
  }
  const consumers = Object.entries(result.data.consumers).map(([key, value]) => [
    key,
    { ...value, consumer: value.consumer ?? key },
  ]);
  return { ...result.data, consumers: Object.fromEntries(consumers) } as Config;
}

/**
 * Reads and validates a config file (TypeScript, JavaScript or JSON).
 *
 * @throws UsageError CONFIG_NOT_FOUND, CONFIG_INVALID
 */
export async function loadConfigFile(file: string): Promise<Config> {
  const absolute = path.resolve(file);
  if (!existsSync(absolute)) {
    throw new UsageError('CONFIG_NOT_FOUND', `no configuration at ${file}`, {
      subject: { file },
      hint: 'name it with --config FILE, or create a skytools.config.ts (README.md shows one)',
    });
  }
  if (absolute.endsWith('.json')) return parseConfig(JSON.parse(readFileSync(absolute, 'utf8')), file);
  const module = (await import(pathToFileURL(absolute).href)) as { default?: unknown };
  if (module.default === undefined) {
    throw new UsageError('CONFIG_INVALID', `${file} has no default export`, {
      subject: { file },
      hint: 'write `export default defineConfig({ … })`',
    });
  }
  return parseConfig(module.default, file);
}

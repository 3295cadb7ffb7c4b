import type { Deadline } from '../platform/deadline.ts';
import { SkytoolsError, UsageError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { quoteQualified } from '../postgres/quote.ts';
import { transaction } from '../postgres/transaction.ts';
import { pgqError } from './errors.ts';
import type { Int8, UnitResult } from './types.ts';

/** One operation of a round of maintenance. */
export interface MaintenanceStep {
  /** Function called, or `vacuum`. */
  operation: string;
  /** Queue or table, where the operation has one. */
  argument: string | undefined;
  /** Rows moved (retry queue) or how often the function asked to be called again. */
  count: number;
  error: SkytoolsError | undefined;
}

export interface MaintenanceLimits {
  /** Calls of one function that asks to be called again, or of the retry mover, in one round. */
  repeats: number;
  /** Largest table to be vacuumed, in bytes. */
  vacuumBytes: number;
}

/**
 * 10,000 calls move at least 100,000 retried events (the classic function moves ten a call); a VACUUM reads
 * at 100 MB/s and more, so 1 GB takes some seconds, where the queue's own tables have a few MB.
 */
export const MAINTENANCE_LIMITS: MaintenanceLimits = { repeats: 10_000, vacuumBytes: 1024 ** 3 };

/**
 * One round of maintenance of a database: due retry events go back into their queues, then everything
 * `pgq.maint_operations()` lists, each operation in a transaction of its own (the two steps of a rotation must be), VACUUM
 * outside of any. An operation that fails is reported in its step, and the rest goes on.
 *
 * @returns the steps in their order; `next` is `again` where the deadline or a limit left something undone
 * @throws SkytoolsError PGQ_NOT_INSTALLED
 */
export async function maintain(
  client: Client,
  deadline: Deadline,
  limits: MaintenanceLimits = MAINTENANCE_LIMITS,
): Promise<UnitResult<MaintenanceStep[]>> {
  deadline.check('maintenance');
  const operations = await listOperations(client, deadline);
  const steps: MaintenanceStep[] = [];
  let complete = true;
  for (const { operation, argument } of [{ operation: RETRY, argument: undefined }, ...operations]) {
    if (!deadline.allows(0)) {
      complete = false;
      break;
    }
    const step = await runStep(client, operation, argument, deadline, limits);
    steps.push(step);
    if (step.count >= limits.repeats) complete = false;
  }
  if (complete) {
    await client.query(
      `insert into pgq.maintenance_run (finished_at) values (now())
       on conflict (one) do update set finished_at = excluded.finished_at`,
    );
  }
  return { did: steps, next: complete ? 'idle' : 'again' };
}

const RETRY = 'pgq.maint_retry_events';

async function listOperations(
  client: Client,
  deadline: Deadline,
): Promise<{ operation: string; argument: string | undefined }[]> {
  try {
    const { rows } = await transaction(
      client,
      () =>
        client.query<{ func_name: string; func_arg: string | null }>(
          'select func_name, func_arg from pgq.maint_operations()',
        ),
      { deadline },
    );
    return rows.map((row) => ({ operation: row.func_name, argument: row.func_arg ?? undefined }));
  } catch (error) {
    throw pgqError(error);
  }
}

async function runStep(
  client: Client,
  operation: string,
  argument: string | undefined,
  deadline: Deadline,
  limits: MaintenanceLimits,
): Promise<MaintenanceStep> {
  const step: MaintenanceStep = { operation, argument, count: 0, error: undefined };
  try {
    if (/^vacuum( analyze)?$/i.test(operation)) {
      await vacuum(client, operation, argument, limits);
      return step;
    }
    // As pgqd: a function that answers a number other than 0 wants to be called again at once.
    while (step.count < limits.repeats && deadline.allows(0)) {
      const answer = await transaction(client, () => call(client, operation, argument), { deadline });
      if (answer === 0) break;
      step.count += operation === RETRY ? answer : 1;
    }
  } catch (error) {
    step.error = pgqError(error, argument === undefined ? {} : { queue: argument });
    // Nothing more can be sent over a broken connection.
    if (step.error.code === 'PG_CONNECTION' || step.error.code === 'PG_COMMIT_UNKNOWN') throw step.error;
  }
  return step;
}

/** The number that a maintenance function answered; 0 for NULL and for anything that is no number. */
async function call(client: Client, operation: string, argument: string | undefined): Promise<number> {
  const values = argument === undefined ? [] : [argument];
  const { rows } = await client.query<{ answer: string | null }>(
    `select (${quoteQualified(operation)}(${argument === undefined ? '' : '$1'}))::text as answer`,
    values,
  );
  const answer = Number.parseInt(rows[0]?.answer ?? '0', 10);
  return Number.isNaN(answer) ? 0 : answer;
}

/**
 * VACUUM runs outside a transaction, where a time-out would be session state, so its bound is the table's size. A table that
 * is locked is left for the next round.
 */
async function vacuum(
  client: Client,
  operation: string,
  table: string | undefined,
  limits: MaintenanceLimits,
): Promise<void> {
  if (table === undefined) throw new UsageError('PGQ_MAINTENANCE_INVALID', 'vacuum without a table');
  const name = quoteQualified(table);
  const { rows } = await client.query<{ bytes: Int8 }>('select pg_relation_size($1::regclass) as bytes', [
    name,
  ]);
  if (Number(rows[0]!.bytes) > limits.vacuumBytes) {
    throw new SkytoolsError('PGQ_VACUUM_TOO_LARGE', `${table} is too large to be vacuumed by a function`, {
      subject: { table },
      hint: `run VACUUM ${name} by hand, and turn autovacuum on`,
    });
  }
  await client.query(`vacuum (skip_locked${/analyze/i.test(operation) ? ', analyze' : ''}) ${name}`);
}

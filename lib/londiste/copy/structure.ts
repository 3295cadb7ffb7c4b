import type { Deadline } from '../../platform/deadline.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import { logError } from '../../platform/logger.ts';
import type { Client } from '../../postgres/connect.ts';
import { runDetached } from '../../postgres/detached.ts';
import { toSkytoolsError } from '../../postgres/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import type { NodeScope } from '../place.ts';
import { type CopyJob, subjectOf } from './job.ts';

/** What a copy takes off a table. */
export type DroppedKind = 'index' | 'unique' | 'foreign key' | 'trigger';

/**
 * Puts back one thing of these kinds, where the copy is so far, over a connection of its own: an index may take longer than this invocation, and is
 * finished by the server alone then. Called side by side, each builds another one.
 *
 * @returns `done` one more is there; `busy` others, or the server alone, are at what is left, or it is not time; `early` what is left
 *   waits for copies of the table from other sets; `none` nothing is left
 */
export async function putBackNext(
  scope: NodeScope,
  database: string,
  target: Client,
  job: CopyJob,
  kinds: readonly DroppedKind[],
  limit: number,
): Promise<'done' | 'busy' | 'early' | 'none'> {
  const { rows } = await target.query<{ nr: number; name: string }>(
    `select nr, name from londiste.copy_dropped
      where job_id = $1 and done is null and kind = any ($2) order by array_position($2, kind), nr`,
    [job.id, kinds],
  );
  let early = false;
  for (const { nr, name } of rows) {
    const result = await build(scope, database, job, nr, limit, scope.deadline).catch(async (error) => {
      const { code, message } = toSkytoolsError(error);
      await target.query('update londiste.copy_dropped set problem = $3 where job_id = $1 and nr = $2', [
        job.id,
        nr,
        `${code}: ${message}`,
      ]);
      throw new SkytoolsError(
        'COPY_NOT_PUT_BACK',
        `${name} of ${job.destTable} cannot be made again: ${message}`,
        {
          subject: subjectOf(job),
          cause: error,
          hint: 'mend the rows that it refuses, here or at the source; it is tried again at every tick',
        },
      );
    });
    early ||= result === 'early';
    if (result === 'done' || result === 'gone') return 'done';
  }
  if (rows.length === 0) return 'none';
  return early ? 'early' : 'busy';
}

async function build(
  scope: NodeScope,
  database: string,
  job: CopyJob,
  nr: number,
  limit: number,
  deadline: Deadline,
): Promise<string> {
  return scope.database(database, async (own) => {
    const rows = await runDetached<{ result: string }>(
      own,
      `select londiste.put_back(${job.id}, ${nr}, ${limit}) as result`,
      deadline,
    );
    return rows?.[0]?.result ?? 'busy';
  });
}

/** Gathers statistics, once for each copy; in the caller's way if another invocation is at it. */
export async function analyzeOnce(target: Client, job: CopyJob, quoted: string): Promise<void> {
  await transaction(target, async () => {
    const { rowCount } = await target.query(
      'select from londiste.copy_job where job_id = $1 and not analyzed for no key update skip locked',
      [job.id],
    );
    if (rowCount === 0) return;
    await target.query(`analyze ${quoted}`);
    await target.query('update londiste.copy_job set analyzed = true where job_id = $1', [job.id]);
  });
}

/**
 * Puts back the foreign keys whose subscribed tables are in sync (the other end may be a table that is not replicated), checking the rows under a lock that lets writers be. One that
 * is violated stays off, and is logged, until the rows are right.
 */
export async function restoreForeignKeys(target: Client, queue: string): Promise<void> {
  const { rows } = await target.query<{ from_table: string; fkey_name: string }>(
    `select from_table, fkey_name from londiste.get_valid_pending_fkeys($1)
     union select from_table, fkey_name from londiste.get_half_pending_fkeys($1)`,
    [queue],
  );
  for (const { from_table, fkey_name } of rows) {
    try {
      for (let more = true; more; ) {
        more = await transaction(target, async () => {
          const next = await target.query<{ sql: string }>(
            'select londiste.restore_table_fkey($1, $2, true) as sql',
            [from_table, fkey_name],
          );
          if (next.rows[0]!.sql === '') return false;
          await target.query(next.rows[0]!.sql);
          return true;
        });
      }
    } catch (error) {
      logError(`foreign key ${fkey_name} of ${from_table} cannot be put back`, error);
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError, DeadlineError } from '../../platform/errors.ts';
import type { NodeScope } from '../place.ts';
import { orderStep } from './order.ts';

/** Between two looks at copies that others are at, in milliseconds. */
const PAUSE_MS = 200;

/**
 * Carries copies on demand out here instead of in functions, side by side and beside any function that is at them as well,
 * until they are done or the scopes' deadline has come; then they can be gone on with.
 *
 * @param scopes one for each worker: each works over connections of its own
 * @throws the first error of any; the other workers stop at their next step
 */
export async function runOrders(
  scopes: readonly NodeScope[],
  database: string,
  jobs: readonly bigint[],
): Promise<void> {
  const open = new Set(jobs);
  let failed = false;
  const work = async (scope: NodeScope) => {
    while (open.size > 0 && !failed && scope.deadline.allows(0)) {
      if (await oneStep(scope, database, open)) continue;
      await forgetEnded(scope, database, open);
      await sleep(PAUSE_MS);
    }
  };
  const workers = scopes.map((scope) =>
    work(scope).catch((error) => {
      failed = true;
      throw error;
    }),
  );
  const results = await Promise.allSettled(workers);
  const rejected = results.find((result) => result.status === 'rejected');
  if (rejected) throw rejected.reason;
}

/** A step of the first copy that has one. */
async function oneStep(scope: NodeScope, database: string, open: Set<bigint>): Promise<boolean> {
  for (const id of open) {
    try {
      if ((await orderStep(scope, database, id)).next === 'again') return true;
    } catch (error) {
      if (!(error instanceof BusyError || error instanceof DeadlineError)) throw error;
    }
  }
  return false;
}

async function forgetEnded(scope: NodeScope, database: string, open: Set<bigint>): Promise<void> {
  const { rows } = await scope.database(database, (target) =>
    target.query<{ id: bigint }>(
      `select job_id as id from londiste.copy_order where job_id = any ($1) and state in ('done', 'cancelled')`,
      [[...open]],
    ),
  );
  for (const { id } of rows) open.delete(id);
}

import type { JobOf } from '../../jobs/messages.ts';
import { UsageError } from '../../platform/errors.ts';
import type { NodeScope } from '../place.ts';
import { type CopyStep, type CopyStepResult, copyStep } from './copy.ts';
import { orderStep, parseOrder, placeOrder } from './order.ts';
import { unbegunCopy } from './waiting.ts';

type CopyMessage = JobOf<'copy'>;

/** What a message was good for, and the messages for what comes next. */
export interface CopyWork {
  did: CopyStep;
  wake: (CopyMessage | JobOf<'replay'>)[];
}

/**
 * How long one invocation goes on with chunks, in milliseconds: connecting, and reading what the copy is, are then a small
 * part even of small chunks; and a table that waits for one of the database's places gets it soon.
 */
export const CHUNKS_MS = 10_000;

/**
 * What a `copy` message asks for: a step of a subscribed table's copy, a step of a copy on demand, or an order for some.
 *
 * @throws UsageError JOB_INVALID
 */
export async function copyWork(scope: NodeScope, message: CopyMessage): Promise<CopyWork> {
  const { v, kind, database, queue, table, job, order } = message;
  if (order !== undefined) {
    const jobs = await scope.database(database, (target) => placeOrder(scope, target, parseOrder(order)));
    return {
      did: { step: 'ordered', chunks: jobs.length },
      wake: jobs.map((id) => ({ v, kind, database, job: `${id}` })),
    };
  }
  if (job !== undefined && /^\d{1,18}$/.test(job))
    return next(message, await knownOrderStep(scope, database, BigInt(job)));
  if (job !== undefined || queue === undefined || table === undefined) {
    throw new UsageError('JOB_INVALID', 'a copy message names queue and table, a job, or an order', {
      hint: 'docs/reference/messages.md shows the forms',
    });
  }
  const result = await copyStep(scope, database, queue, table, CHUNKS_MS);
  if (result.next === 'replay') {
    const replay = { v, kind: 'replay', database, queue } as const;
    // The place of a table that is in sync is free for the next one, which need not wait for a tick.
    const waiting =
      result.did.step === 'in-sync'
        ? await scope.database(database, (target) => unbegunCopy(target, queue))
        : undefined;
    const copy = waiting === undefined ? [] : [{ v, kind, database, queue, table: waiting }];
    return { did: result.did, wake: [replay, ...copy] };
  }
  return next(message, result);
}

/** A message that comes when its copy is done and forgotten has nothing to do. */
async function knownOrderStep(scope: NodeScope, database: string, job: bigint): Promise<CopyStepResult> {
  return orderStep(scope, database, job, CHUNKS_MS).catch((error) => {
    if (error.code !== 'COPY_UNKNOWN') throw error;
    return { did: { step: 'nothing' }, next: 'idle' };
  });
}

/** This message once more, or as often as steps can go on side by side now. */
function next(message: CopyMessage, { did, next }: CopyStepResult): CopyWork {
  return { did, wake: next === 'again' ? Array.from({ length: did.chunks ?? 1 }, () => message) : [] };
}

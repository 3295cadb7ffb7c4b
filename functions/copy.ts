import { nextChain } from '../lib/jobs/guards.ts';
import { jobHandler } from '../lib/jobs/worker.ts';
import { copyStep } from '../lib/londiste/copy/copy.ts';
import { logger } from '../lib/platform/logger.ts';

/** One step of the copy of one table; the next tick wakes as many side by side as there are chunks. */
export const handler = jobHandler('copy', import.meta.url, async (job, scope) => {
  const { database, queue, table } = job;
  const { did, next } = await copyStep(scope, database, queue, table);
  logger.info('copied', { queue, table, ...did });
  // The node stood still for the last step.
  if (did.step === 'in-sync') return [{ job: { v: 1, kind: 'replay', database, queue } }];
  const chain = next === 'again' ? nextChain(job.chain, true) : undefined;
  return chain ? [{ job: { ...job, chain } }] : [];
});

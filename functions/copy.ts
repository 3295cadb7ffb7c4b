import { nextChain } from '../lib/jobs/guards.ts';
import { jobHandler } from '../lib/jobs/worker.ts';
import { copyWork } from '../lib/londiste/copy/work.ts';
import { logger } from '../lib/platform/logger.ts';

/** One step of a copy; wakes as many side by side as there is work for. */
export const handler = jobHandler('copy', import.meta.url, async (job, scope) => {
  const { did, wake } = await copyWork(scope, job);
  logger.info('copied', { queue: job.queue, table: job.table, job: job.job, ...did });
  const chain = nextChain(job.chain, true);
  if (chain === undefined) return [];
  return wake.map((next) => ({ job: { ...next, chain } }));
});

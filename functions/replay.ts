import { nextChain } from '../lib/jobs/guards.ts';
import { jobHandler } from '../lib/jobs/worker.ts';
import { replayBatch } from '../lib/londiste/replay/replay.ts';
import { logger } from '../lib/platform/logger.ts';

/** One batch of one node, and a message for the next where there is more to do. */
export const handler = jobHandler('replay', import.meta.url, async (job, scope) => {
  const { did, next } = await replayBatch(scope, job.database, job.queue);
  if (did) logger.info('replayed', { queue: job.queue, ...did });
  const chain = next === 'again' ? nextChain(job.chain, did !== undefined) : undefined;
  return chain ? [{ job: { ...job, chain } }] : [];
});

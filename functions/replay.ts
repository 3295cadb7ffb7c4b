import { nextChain } from '../lib/jobs/guards.ts';
import { jobHandler } from '../lib/jobs/worker.ts';
import { replayBatch } from '../lib/londiste/replay/replay.ts';
import { logger } from '../lib/platform/logger.ts';

/** One batch of one node, and messages for the next one where there is more to do, and for copies that waited for it. */
export const handler = jobHandler('replay', import.meta.url, async (job, scope) => {
  const { v, database, queue } = job;
  const { did, next, copies } = await replayBatch(scope, database, queue);
  if (did) logger.info('replayed', { queue, ...did });
  const chain = next === 'again' ? nextChain(job.chain, did !== undefined) : undefined;
  return [
    ...(chain ? [{ job: { ...job, chain } }] : []),
    ...copies.map((table) => ({ job: { v, kind: 'copy' as const, database, queue, table } })),
  ];
});

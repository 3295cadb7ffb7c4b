import { nextChain } from '../lib/jobs/guards.ts';
import { jobHandler } from '../lib/jobs/worker.ts';
import { bundledHandler } from '../lib/pgq/consumers/bundled-handler.ts';
import { runConsumer } from '../lib/pgq/consumers/run.ts';
import { logger } from '../lib/platform/logger.ts';

/** One batch of one configured consumer, and a message for the next where there is more to do. */
export const handler = jobHandler('consume', import.meta.url, async (job, scope) => {
  const { did, next } = await runConsumer(job.consumer, scope, bundledHandler(import.meta.url));
  if (did)
    logger.info('consumed', {
      consumer: job.consumer,
      batch: did.batch,
      events: did.events,
      retried: did.retried,
      dead: did.dead,
    });
  const chain = next === 'again' ? nextChain(job.chain, did !== undefined) : undefined;
  return chain ? [{ job: { ...job, chain } }] : [];
});

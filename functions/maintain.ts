import { nextChain } from '../lib/jobs/guards.ts';
import { jobHandler } from '../lib/jobs/worker.ts';
import { maintain } from '../lib/pgq/maintenance.ts';
import { reportMaintenance } from '../lib/pgq/maintenance-report.ts';

/** One round of maintenance of one database: rotation, retries, extra functions, vacuum. */
export const handler = jobHandler('maintain', import.meta.url, async (job, { database, deadline }) => {
  const { did, next } = await database(job.database, (client) => maintain(client, deadline));
  reportMaintenance(job.database, did);
  const progressed = did.some((step) => step.count > 0);
  const chain = next === 'again' ? nextChain(job.chain, progressed) : undefined;
  return chain ? [{ job: { ...job, chain } }] : [];
});

import { hintsFromEnvironment } from '../lib/jobs/idle-hints.ts';
import { tickRound } from '../lib/jobs/tick-round.ts';
import { jobHandler } from '../lib/jobs/worker.ts';
import { londisteCapability } from '../lib/londiste/capability.ts';
import { queueCapability } from '../lib/pgq/capability.ts';
import { walCapability } from '../lib/walmgr/jobs/capability.ts';

/** Ticks one database and wakes all that is due there. */
export const handler = jobHandler('tick', import.meta.url, (job, scope) =>
  tickRound(job, scope, [queueCapability, londisteCapability, walCapability], hintsFromEnvironment()),
);

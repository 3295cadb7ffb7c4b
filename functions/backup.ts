import { jobHandler } from '../lib/jobs/worker.ts';
import { backupJob } from '../lib/walmgr/jobs/backup.ts';

/** One base backup of a cluster that fits one invocation, or one round of expiry. */
export const handler = jobHandler('backup', import.meta.url, backupJob);

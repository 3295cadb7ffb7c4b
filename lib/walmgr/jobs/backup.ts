import type { JobOf } from '../../jobs/messages.ts';
import type { Wakeup } from '../../jobs/sender.ts';
import type { JobScope } from '../../jobs/worker.ts';
import { BusyError, errorMessage } from '../../platform/errors.ts';
import { logger } from '../../platform/logger.ts';
import type { WalArchive } from '../archive/archive.ts';
import { listBackups, missingWal } from '../backup/record.ts';
import { takeBackup } from '../backup/take.ts';
import { writeCatalogue } from '../catalogue.ts';
import type { WalJobKind } from '../checkpoint.ts';
import { expire, planExpiry, type RetentionPolicy } from '../retention.ts';
import { type ClusterScope, clusterScope, leaseSeconds, withArchive, withSource } from './scope.ts';

/** WAL that pull or push delivers comes within this time; after it the backup stays `waiting`. Milliseconds. */
const WAIT_FOR_WAL_MS = 30_000;

/** The WAL of the new backup is there by then, and the old ones can be judged. */
const EXPIRE_DELAY_SECONDS = 120;

/** Deleting stops so long before the deadline, in milliseconds. */
const ENDING_MS = 5_000;

/** One backup of a cluster, or, as job `expire`, one round of expiry. */
export async function backupJob(job: JobOf<'backup'>, scope: JobScope): Promise<readonly Wakeup[]> {
  const cluster = clusterScope(job.cluster, scope);
  if (job.job === 'expire') {
    await leased(cluster, scope, 'expire', () => expireOnce(cluster, scope));
    return [];
  }
  await leased(cluster, scope, 'backup', () => backupOnce(cluster, scope));
  return [
    // The WAL up to the backup's end, without which it cannot be used.
    ...(cluster.config.pull
      ? [{ job: { v: 1 as const, kind: 'wal-archive' as const, cluster: job.cluster } }]
      : []),
    {
      job: { v: 1, kind: 'backup', cluster: job.cluster, job: 'expire' },
      delaySeconds: EXPIRE_DELAY_SECONDS,
    },
  ];
}

async function leased(
  cluster: ClusterScope,
  scope: JobScope,
  kind: WalJobKind,
  body: () => Promise<void>,
): Promise<void> {
  const fence = await cluster.checkpoint((checkpoint) => checkpoint.begin(kind, leaseSeconds(scope)));
  if (cluster.config.database !== undefined && fence === undefined) {
    throw new BusyError(`${kind} of cluster ${cluster.name}`);
  }
  try {
    await body();
  } catch (error) {
    await cluster.checkpoint((checkpoint) => checkpoint.end(kind, fence!, { error: errorMessage(error) }));
    throw error;
  }
  await cluster.checkpoint((checkpoint) => checkpoint.end(kind, fence!, {}));
}

async function backupOnce(cluster: ClusterScope, scope: JobScope): Promise<void> {
  const checksums = cluster.config.backup?.manifestChecksums;
  await withSource(cluster, async (archive, source) => {
    const { did, missing } = await takeBackup(archive, source, {
      deadline: scope.deadline,
      fast: true,
      ...(checksums === undefined ? {} : { checksums }),
      // A pull that ends when it has caught up is woken afterwards.
      waitForWalMs:
        cluster.config.pull?.follow === false
          ? 0
          : Math.min(WAIT_FOR_WAL_MS, Math.max(0, scope.deadline.remainingMs() / 2)),
    });
    const state = did.problem !== undefined ? 'damaged' : missing.length > 0 ? 'waiting' : 'usable';
    await cluster.checkpoint((checkpoint) => checkpoint.registerBackup(did, state));
    logger.info('backed up', { cluster: cluster.name, backup: did.name, state, bytes: did.plainSize });
  });
}

async function expireOnce(cluster: ClusterScope, scope: JobScope): Promise<void> {
  const policy = cluster.config.backup;
  await withArchive(cluster, async (archive) => {
    if (policy !== undefined) await expireBy(policy, archive, cluster, scope);
    await writeCatalogue(archive);
  });
}

async function expireBy(
  policy: RetentionPolicy,
  archive: WalArchive,
  cluster: ClusterScope,
  scope: JobScope,
): Promise<void> {
  const backups = await listBackups(archive);
  // The newest backup's time is the server's clock; ours decides nothing.
  const now = new Date(Math.max(0, ...backups.map((record) => Date.parse(record.stoppedAt))));
  for (const record of backups) {
    const usable = record.problem === undefined && (await missingWal(archive, record)).length === 0;
    if (usable) await cluster.checkpoint((checkpoint) => checkpoint.registerBackup(record, 'usable'));
  }
  const plan = await planExpiry(archive, policy, now);
  const done = await expire(archive, plan, () => scope.deadline.allows(ENDING_MS));
  await cluster.checkpoint(async (checkpoint) => {
    for (const name of done.backups) await checkpoint.forget(name, []);
    await checkpoint.forget(null, done.files);
  });
  logger.info('expired', { cluster: cluster.name, backups: done.backups, files: done.files.length });
}

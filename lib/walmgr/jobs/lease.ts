import { BusyError, errorMessage } from '../../platform/errors.ts';
import { logger } from '../../platform/logger.ts';
import type { WalJobKind } from '../checkpoint.ts';
import type { ClusterScope } from './scope.ts';

/**
 * How long a lease stands that nobody renews, in seconds: two renewals may be lost. Longer than the server waits for a
 * silent client (`WAL_SENDER_TIMEOUT_MS`), so that the next worker finds the slot of the dead one free.
 */
const LEASE_SECONDS = 30;

/** Renewals while a lease stands. */
const RENEWALS = 3;

/** The lease of a job that this process is at. Stands for nothing where the cluster has no checkpoints. */
export interface JobLease {
  fence: bigint | undefined;
  /** Aborted, with a BusyError, when the lease has passed to another. */
  signal: AbortSignal;
}

/**
 * Takes the lease of a job and renews it while `body` runs, which ends it. A worker that is killed leaves it for
 * {@link LEASE_SECONDS} at most.
 *
 * A renewal that cannot be made ends nothing: a worker that lives holds the replication slot, which the server gives to
 * nobody else, and what it writes is written once whoever does. An archive that stops with the database of its checkpoints
 * would lose more.
 *
 * @throws BusyError while another has the lease
 */
export async function whileLeased<T>(
  cluster: ClusterScope,
  kind: WalJobKind,
  body: (lease: JobLease) => Promise<T>,
  seconds: number = LEASE_SECONDS,
): Promise<T> {
  const lost = new AbortController();
  const busy = () => new BusyError(`${kind} of cluster ${cluster.name}`);
  const fence = await cluster.checkpoint((checkpoint) => checkpoint.begin(kind, seconds));
  if (fence === undefined) {
    if (cluster.config.database !== undefined) throw busy();
    return body({ fence, signal: lost.signal });
  }
  const renew = async () => {
    try {
      const held = await cluster.checkpoint((checkpoint) => checkpoint.renew(kind, fence, seconds));
      if (held === false) lost.abort(busy());
    } catch (error) {
      logger.debug('lease not renewed', { cluster: cluster.name, kind, problem: errorMessage(error) });
    }
  };
  const timer = setInterval(() => void renew(), (seconds * 1000) / RENEWALS);
  try {
    return await body({ fence, signal: lost.signal });
  } finally {
    clearInterval(timer);
  }
}

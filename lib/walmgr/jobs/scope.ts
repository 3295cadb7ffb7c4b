import type pg from 'pg';
import type { JobScope } from '../../jobs/worker.ts';
import { UsageError } from '../../platform/errors.ts';
import { resolveSecret } from '../../platform/secrets.ts';
import { parseTarget } from '../../postgres/target.ts';
import { WalArchive } from '../archive/archive.ts';
import { clientOptions } from '../archive/location.ts';
import { Checkpoint } from '../checkpoint.ts';
import { type ClusterConfig, clusterConfig } from '../config.ts';
import { APPLICATION_NAME } from '../pull/pull.ts';
import { ReplicationSource } from '../replication/source.ts';
import { ObjectStore } from '../s3/store.ts';

/** One cluster in one invocation. */
export interface ClusterScope {
  name: string;
  config: ClusterConfig;
  /** Lends the checkpoints of this cluster; runs nothing where none are configured. */
  checkpoint<T>(body: (checkpoint: Checkpoint) => Promise<T>): Promise<T | undefined>;
}

export function clusterScope(name: string, scope: JobScope): ClusterScope {
  const config = clusterConfig(scope.config, name);
  const { database } = config;
  return {
    name,
    config,
    async checkpoint(body) {
      if (database === undefined) return undefined;
      return scope.database(database, (client: pg.Client) => body(new Checkpoint(client, name)));
    },
  };
}

/** Added to what an invocation has left, in seconds: it is killed within this time after its deadline. */
const LEASE_MARGIN_SECONDS = 60;

/** A lease that ends by itself only when its owner was killed, and soon after it would have ended. */
export function leaseSeconds({ deadline }: JobScope): number {
  return Math.max(0, deadline.remainingMs()) / 1000 + LEASE_MARGIN_SECONDS;
}

/** A replication connection to the cluster and its archive, closed afterwards. */
export async function withSource<T>(
  cluster: ClusterScope,
  body: (archive: WalArchive, source: ReplicationSource) => Promise<T>,
): Promise<T> {
  const { source: reference, location, level } = cluster.config;
  if (reference === undefined) {
    throw new UsageError('WAL_NO_SOURCE', `cluster "${cluster.name}" has no source`, {
      subject: { cluster: cluster.name },
      hint: 'add `source`, a replication connection, to it in skytools.config.ts',
    });
  }
  const source = await ReplicationSource.connect(
    parseTarget(await resolveSecret(reference)),
    APPLICATION_NAME,
  );
  const store = new ObjectStore(clientOptions(location));
  try {
    const archive = await WalArchive.claim(location, await source.identity(), {
      store,
      ...(level === undefined ? {} : { level }),
    });
    await cluster.checkpoint((checkpoint) => checkpoint.registerCluster(archive, location));
    return await body(archive, source);
  } finally {
    store.close();
    await source.close();
  }
}

/** The archive of a cluster, closed afterwards. */
export async function withArchive<T>(
  cluster: ClusterScope,
  body: (archive: WalArchive) => Promise<T>,
): Promise<T> {
  const store = new ObjectStore(clientOptions(cluster.config.location));
  try {
    const archive = await WalArchive.open(cluster.config.location, store);
    await cluster.checkpoint((checkpoint) => checkpoint.registerCluster(archive, cluster.config.location));
    return await body(archive);
  } finally {
    store.close();
  }
}

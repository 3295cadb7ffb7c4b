import { SkytoolsError } from '../../platform/errors.ts';
import type { ObjectStore } from '../s3/store.ts';
import type { ClusterIdentity } from '../wal/page.ts';
import { sha256 } from './codec.ts';
import { type ArchiveKeys, LAYOUT_VERSION } from './location.ts';

/** Which cluster an archive belongs to: `archive.json`, written once, before the first file. */
export interface ArchiveIdentity extends ClusterIdentity {
  /** Major version that began the archive. */
  major: number;
}

const LIMIT = 64 * 1024;

/**
 * Reads `archive.json`. Plain checks instead of a schema library: this runs in the command that PostgreSQL starts for
 * every segment.
 *
 * @throws SkytoolsError WAL_ARCHIVE_INVALID
 */
export function parseIdentity(text: string): ArchiveIdentity {
  const value = JSON.parse(text) as Record<string, unknown>;
  const { version, systemIdentifier, segmentSize, major } = value;
  if (
    version !== LAYOUT_VERSION ||
    typeof systemIdentifier !== 'string' ||
    !/^\d{1,20}$/.test(systemIdentifier) ||
    typeof segmentSize !== 'number' ||
    typeof major !== 'number'
  ) {
    throw new SkytoolsError('WAL_ARCHIVE_INVALID', 'archive.json is not one of this version', {
      hint: 'use the version of this program that wrote the archive, or a newer one',
    });
  }
  return { systemIdentifier: BigInt(systemIdentifier), segmentSize, major };
}

/** The text of `archive.json`. */
export function formatIdentity(identity: ArchiveIdentity): string {
  return `${JSON.stringify({
    version: LAYOUT_VERSION,
    systemIdentifier: String(identity.systemIdentifier),
    segmentSize: identity.segmentSize,
    major: identity.major,
  })}\n`;
}

/** The identity in an archive; undefined if nothing has been archived there yet. */
export async function readIdentity(
  store: ObjectStore,
  keys: ArchiveKeys,
): Promise<ArchiveIdentity | undefined> {
  const found = await store.get(keys.identity, LIMIT);
  return found && parseIdentity(found.body.toString('utf8'));
}

/**
 * Makes sure that the archive belongs to this cluster; an empty archive is taken for it.
 *
 * @throws SkytoolsError WAL_FOREIGN_CLUSTER
 */
export async function claimArchive(
  store: ObjectStore,
  keys: ArchiveKeys,
  cluster: ArchiveIdentity,
): Promise<ArchiveIdentity> {
  let identity = await readIdentity(store, keys);
  if (!identity) {
    const body = Buffer.from(formatIdentity(cluster));
    const created = await store.put(keys.identity, body, sha256(body), { onlyIfAbsent: true });
    identity = created ? cluster : await readIdentity(store, keys);
  }
  if (
    identity?.systemIdentifier !== cluster.systemIdentifier ||
    identity.segmentSize !== cluster.segmentSize
  ) {
    throw new SkytoolsError(
      'WAL_FOREIGN_CLUSTER',
      `the archive belongs to cluster ${identity?.systemIdentifier}, this one is ${cluster.systemIdentifier}`,
      {
        hint: 'give each cluster an archive of its own; after pg_upgrade or initdb choose a new archive location',
        subject: { cluster: String(cluster.systemIdentifier), key: keys.identity },
      },
    );
  }
  return identity;
}

import { SkytoolsError } from '../../platform/errors.ts';
import type { StoredFile, WalArchive } from '../archive/archive.ts';
import { IN_MEMORY_BYTES } from '../archive/archive.ts';
import { nameOfKey } from '../archive/location.ts';
import type { ObjectInfo } from '../s3/store.ts';
import { parseWalName } from '../wal/name.ts';

/** What a look at an uploaded object found. */
export interface VerifiedUpload {
  state: 'verified' | 'damaged';
  file: Omit<StoredFile, 'outcome'>;
  problem?: SkytoolsError;
}

/** What an object's metadata says of the file in it. */
export function describeObject(name: string, info: ObjectInfo): Omit<StoredFile, 'outcome'> {
  return {
    name,
    plainSize: Number(info.metadata['plain-size'] ?? 0),
    plainSha256: info.metadata['plain-sha256'] ?? '',
    objectSize: info.size,
    objectSha256: info.metadata['object-sha256'] ?? '',
  };
}

/**
 * Reads an uploaded object back and checks it as recovery would: S3 has compared its checksum, but only its content shows
 * that it is what its name says.
 *
 * @returns undefined if there is no such object any more
 */
export async function verifyUpload(archive: WalArchive, key: string): Promise<VerifiedUpload | undefined> {
  const name = nameOfKey(key);
  const file = parseWalName(name);
  const info = await archive.store.head(archive.keys.file(file));
  if (!info) return undefined;
  const described = describeObject(name, info);
  try {
    // Larger segments than fit in memory are read back by `skytools wal verify` on a host.
    if (described.plainSize <= IN_MEMORY_BYTES) await archive.readFile(name);
    return { state: 'verified', file: described };
  } catch (error) {
    if (!(error instanceof SkytoolsError) || error.retryable) throw error;
    return { state: 'damaged', file: described, problem: error };
  }
}

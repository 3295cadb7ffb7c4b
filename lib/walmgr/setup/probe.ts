import { SkytoolsError } from '../../platform/errors.ts';
import { sha256 } from '../archive/codec.ts';
import { ArchiveKeys, type ArchiveLocation } from '../archive/location.ts';
import type { ObjectStore } from '../s3/store.ts';

/**
 * Tries on the bucket itself what archiving relies on: that a write with `If-None-Match` does not replace an object, that
 * a checksum is compared, and that an absent key is told from a forbidden one. Leaves one small object, `setup-probe`.
 *
 * @throws SkytoolsError WAL_STORE_UNSAFE, or whatever S3 refuses
 */
export async function probeStore(store: ObjectStore, location: ArchiveLocation): Promise<void> {
  const { root } = new ArchiveKeys(location);
  const key = `${root}setup-probe`;
  const body = Buffer.from('written by skytools wal setup\n');
  await store.put(key, body, sha256(body), { onlyIfAbsent: true });
  if (await store.put(key, body, sha256(body), { onlyIfAbsent: true })) {
    throw unsafe('it replaced an object although the write forbade that (If-None-Match)', location);
  }
  const wrong = await store
    .put(`${root}setup-probe-wrong`, body, sha256(Buffer.from('other')), { onlyIfAbsent: true })
    .catch(() => false);
  if (wrong) throw unsafe('it took bytes that do not have the checksum sent with them', location);
  // Without s3:ListBucket this is 403, and recovery could never be told that it has reached the end.
  await store.head(`${root}setup-probe-absent`);
}

function unsafe(what: string, location: ArchiveLocation): SkytoolsError {
  return new SkytoolsError('WAL_STORE_UNSAFE', `the store is not safe for an archive: ${what}`, {
    hint: 'use a store with conditional writes and checksums, such as Amazon S3 or a current MinIO',
    subject: { bucket: location.bucket },
  });
}

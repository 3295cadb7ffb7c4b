import { SkytoolsError } from '../../platform/errors.ts';
import { objectMetadata, WalArchive } from '../archive/archive.ts';
import { readIdentity } from '../archive/identity.ts';
import { ArchiveKeys, type ArchiveLocation } from '../archive/location.ts';
import type { ObjectStore } from '../s3/store.ts';
import { putHeaders } from '../s3/store.ts';
import { parseWalName } from '../wal/name.ts';
import { checkSegmentHeader, readSegmentHeader } from '../wal/page.ts';
import type { UploadRequest } from './request.ts';

/** What a host may do now. */
export type UploadGrant =
  /** Nothing is left to do: this content is durable in the archive. */
  | { answer: 'have' }
  /** One PUT of exactly these bytes, and only if there is no such object, with these headers. */
  | { answer: 'put'; url: string; headers: Record<string, string> };

/** How long a grant lasts, in seconds: a segment takes a second or two, over a bad line some minutes. */
const GRANT_SECONDS = 900;

/** History and backup label files are small. */
const TEXT_FILE_BYTES = 64 * 1024;

/**
 * Checks a file by what its host says of it, and lets it be uploaded straight to S3. S3 itself enforces the rest: the
 * signature covers the checksum, the length and the condition, so nothing else can be written, and nothing overwritten.
 *
 * @throws SkytoolsError WAL_CONFLICT, WAL_SEGMENT_INVALID, WAL_FOREIGN_CLUSTER, WAL_NAME_INVALID
 */
export async function grantUpload(
  store: ObjectStore,
  location: ArchiveLocation,
  request: UploadRequest,
): Promise<UploadGrant> {
  const file = parseWalName(request.name);
  const isSegment = file.kind === 'segment' || file.kind === 'partial';
  const keys = new ArchiveKeys(location);
  const identity = isSegment
    ? (await WalArchive.claim(location, readSegmentHeader(request.header, request.name), { store })).identity
    : await readIdentity(store, keys);
  if (!identity) {
    throw new SkytoolsError('WAL_ARCHIVE_MISSING', 'the archive is empty: its first file must be a segment', {
      hint: 'PostgreSQL tries again by itself',
      retryable: true,
    });
  }
  if (isSegment) checkSegmentHeader(readSegmentHeader(request.header, request.name), file, identity);
  const wanted = isSegment ? identity.segmentSize : TEXT_FILE_BYTES;
  const sizeIsRight = isSegment ? request.size === wanted : request.size <= wanted;
  // What compression adds to bytes that do not compress is less than one in a thousand.
  if (!sizeIsRight || request.objectSize > request.size * 1.01 + 1024) {
    throw new SkytoolsError('WAL_SEGMENT_INVALID', `${request.name} has ${request.size} bytes`, {
      hint: 'send the file as PostgreSQL wrote it',
      subject: { file: request.name },
    });
  }
  const key = keys.system(identity.systemIdentifier).file(file);
  const there = await store.head(key);
  if (there) {
    if (there.metadata['plain-sha256'] === request.sha256) return { answer: 'have' };
    throw new SkytoolsError(
      'WAL_CONFLICT',
      `the archive holds other content under the name ${request.name}`,
      {
        hint: 'two servers write to one archive, or this one was restored without a new timeline: stop one of them',
        subject: { segment: request.name, key },
      },
    );
  }
  const metadata = objectMetadata({
    plainSize: request.size,
    plainSha256: request.sha256,
    objectSha256: request.objectSha256,
    codec: request.codec,
  });
  const headers = {
    ...putHeaders(request.objectSha256, { metadata, onlyIfAbsent: true }),
    'content-length': String(request.objectSize),
  };
  return { answer: 'put', url: await store.client.presign('PUT', key, GRANT_SECONDS, headers), headers };
}

/** The text a shell reads: one word and a URL, then headers as curl's `-H @file` takes them. */
export function formatGrant(grant: UploadGrant): string {
  if (grant.answer === 'have') return 'have\n';
  // curl sets the length itself, to what it sends.
  const headers = Object.entries(grant.headers).filter(([name]) => name !== 'content-length');
  return `put ${grant.url}\n${headers.map(([name, value]) => `${name}: ${value}\n`).join('')}`;
}

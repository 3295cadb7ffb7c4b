import { header, type Request, ServiceError } from '../wire.ts';
import type { Description, StoredChecksum, StoredObject } from './store.ts';

/** Headers that are kept with an object and given back as they were. */
const KEPT_HEADERS = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
] as const;

/** Request headers that would change what is done, and are not emulated: better refused than overlooked. */
const UNSUPPORTED_HEADERS = [
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-object-lock-legal-hold',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-write-offset-bytes',
];

/** Letters, digits, spaces and some marks. */
const TAG_TEXT = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
/** S3 takes at most 2 KiB of user metadata. */
const MAXIMUM_METADATA_BYTES = 2048;

/** Reads headers, user metadata and tags that describe an object to be written. */
export function describe(request: Request): Description {
  for (const name of UNSUPPORTED_HEADERS) {
    if (header(request, name) !== undefined) {
      throw new ServiceError(400, 'InvalidRequest', `${name} is not supported by this bucket`);
    }
  }
  const headers: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const value = header(request, name);
    if (value !== undefined) headers[name] = value;
  }
  if (headers['content-encoding'] !== undefined) {
    // aws-chunked is how the body travels, not what it is.
    const codings = headers['content-encoding'].split(',').map((coding) => coding.trim());
    const own = codings.filter((coding) => coding !== 'aws-chunked' && coding !== '');
    if (own.length > 0) headers['content-encoding'] = own.join(', ');
    else delete headers['content-encoding'];
  }
  headers['content-type'] ??= 'binary/octet-stream';
  const names = [...Object.keys(request.headers), ...request.query.map(([name]) => name.toLowerCase())];
  const metadata: Record<string, string> = {};
  let size = 0;
  for (const name of new Set(names)) {
    if (!name.startsWith('x-amz-meta-')) continue;
    const value = header(request, name) ?? '';
    metadata[name.slice('x-amz-meta-'.length)] = value;
    size += name.length - 'x-amz-meta-'.length + Buffer.byteLength(value, 'latin1');
  }
  if (size > MAXIMUM_METADATA_BYTES) {
    throw new ServiceError(
      400,
      'MetadataTooLarge',
      'Your metadata headers exceed the maximum allowed metadata size',
    );
  }
  return { headers, metadata, tags: parseTagHeader(header(request, 'x-amz-tagging')) };
}

/** The head of an answer about an object. */
export function objectHeaders(object: StoredObject, withChecksum: boolean): Record<string, string> {
  const headers: Record<string, string> = {
    ...object.headers,
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.modified).toUTCString(),
    'accept-ranges': 'bytes',
  };
  for (const [name, value] of Object.entries(object.metadata)) headers[`x-amz-meta-${name}`] = value;
  const tagCount = Object.keys(object.tags).length;
  if (tagCount > 0) headers['x-amz-tagging-count'] = String(tagCount);
  if (withChecksum && object.checksum) Object.assign(headers, checksumHeaders(object.checksum));
  return headers;
}

export function checksumHeaders(checksum: StoredChecksum | undefined): Record<string, string> {
  if (!checksum) return {};
  return { [`x-amz-checksum-${checksum.algorithm}`]: checksum.value, 'x-amz-checksum-type': checksum.type };
}

function parseTagHeader(text: string | undefined): Record<string, string> {
  return text ? requireTags([...new URLSearchParams(text)]) : {};
}

/** Checks a set of tags: at most ten, distinct, of bounded length. */
export function requireTags(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  const tags = Object.fromEntries(pairs);
  if (pairs.length > 10) throw new ServiceError(400, 'BadRequest', 'Object tags cannot be greater than 10');
  const bad = pairs.some(
    ([key, value]) => key === '' || key.length > 128 || value.length > 256 || !TAG_TEXT.test(key + value),
  );
  if (bad || Object.keys(tags).length !== pairs.length) {
    throw new ServiceError(
      400,
      'InvalidTag',
      'a tag key is empty, too long or given twice, or has characters that S3 refuses',
    );
  }
  return tags;
}

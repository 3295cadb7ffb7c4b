import { createHash } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  checksum,
  checksumLength,
  type Digest,
} from '../checksums.ts';
import { header, type Request, ServiceError } from '../wire.ts';
import { decodeChunked } from './chunked.ts';
import type { Blob, Bucket, StoredChecksum } from './store.ts';

/** A body that has arrived whole, has been verified, and lies in a blob that no object names yet. */
export interface ReceivedBody {
  readonly blob: Blob;
  readonly md5: string;
  readonly checksum?: StoredChecksum;
}

/** An object or a part is at most 5 GiB in one request. */
const MAXIMUM_BYTES = 5 * 1024 ** 3;

/**
 * Writes a request's body to a new blob, in bounded memory, and verifies everything that was said about it: length,
 * Content-MD5, x-amz-content-sha256 and x-amz-checksum-*, in the head or in the trailer.
 *
 * @param fallback the checksum to compute where the sender states none
 * @throws ServiceError BadDigest and its kin; the blob is gone then
 */
export async function receiveBody(
  bucket: Bucket,
  request: Request,
  fallback?: ChecksumAlgorithm,
): Promise<ReceivedBody> {
  const payload = header(request, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD';
  const chunked = payload === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  if (payload.startsWith('STREAMING-') && !chunked) {
    throw new ServiceError(
      501,
      'NotImplemented',
      'signed chunks are not emulated; use an unsigned payload trailer',
    );
  }
  const expected = expectedLength(request, chunked);
  const stated = statedChecksum(request);
  const trailing = trailingAlgorithm(request);
  const algorithm = stated?.algorithm ?? trailing ?? fallback;

  const digests = new Map<string, Digest>([['md5', createHash('md5')]]);
  if (algorithm) digests.set(algorithm, checksum(algorithm));
  if (/^[0-9a-f]{64}$/.test(payload)) digests.set('payload', createHash('sha256'));

  const trailers = new Map<string, string>();
  const source = chunked ? decodeChunked(request.body(), trailers) : request.body();
  const { file, path } = bucket.newBlob();
  try {
    const size = await write(path, source, digests);
    if (size !== expected) {
      throw new ServiceError(
        400,
        'IncompleteBody',
        'The number of bytes differs from the one specified by the header',
      );
    }
    const results = new Map([...digests].map(([name, digest]) => [name, digest.digest()]));
    const md5 = results.get('md5') as Buffer;
    verifyMd5(request, md5);
    if (results.has('payload') && results.get('payload')?.toString('hex') !== payload) {
      throw new ServiceError(
        400,
        'XAmzContentSHA256Mismatch',
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
      );
    }
    const blob = { file, size };
    if (!algorithm) return { blob, md5: md5.toString('hex') };
    const value = (results.get(algorithm) as Buffer).toString('base64');
    const claimed = stated?.value ?? (trailing && requireTrailer(trailers, trailing));
    if (claimed !== undefined && claimed !== value) {
      throw new ServiceError(
        400,
        'BadDigest',
        `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`,
      );
    }
    return { blob, md5: md5.toString('hex'), checksum: { algorithm, value, type: 'FULL_OBJECT' } };
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw error;
  }
}

/** Network reads are 64 KiB; one system call for several of them halves the time spent writing. */
const WRITE_BYTES = 512 * 1024;

async function write(
  path: string,
  source: AsyncIterable<Buffer>,
  digests: Map<string, Digest>,
): Promise<number> {
  const file = await open(path, 'wx');
  try {
    let size = 0;
    let pending: Buffer[] = [];
    let pendingBytes = 0;
    for await (const chunk of source) {
      for (const digest of digests.values()) digest.update(chunk);
      pending.push(chunk);
      pendingBytes += chunk.length;
      if (pendingBytes >= WRITE_BYTES) {
        await file.writev(pending, size);
        size += pendingBytes;
        pending = [];
        pendingBytes = 0;
      }
    }
    if (pendingBytes > 0) await file.writev(pending, size);
    return size + pendingBytes;
  } finally {
    await file.close();
  }
}

/** Reads a small document, such as the XML of a multi-object delete. */
export async function receiveText(request: Request, maximumBytes = 2 * 1024 ** 2): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.body() as AsyncIterable<Buffer> & Readable) {
    size += chunk.length;
    if (size > maximumBytes)
      throw new ServiceError(400, 'MaxMessageLengthExceeded', 'Your request was too big.');
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  const payload = header(request, 'x-amz-content-sha256');
  if (
    payload &&
    /^[0-9a-f]{64}$/.test(payload) &&
    createHash('sha256').update(body).digest('hex') !== payload
  ) {
    throw new ServiceError(400, 'XAmzContentSHA256Mismatch', 'the body differs from its signed hash');
  }
  verifyMd5(request, createHash('md5').update(body).digest());
  const stated = statedChecksum(request);
  if (stated) {
    const digest = checksum(stated.algorithm);
    digest.update(body);
    if (digest.digest().toString('base64') !== stated.value) {
      throw new ServiceError(
        400,
        'BadDigest',
        'the checksum you specified did not match the calculated checksum',
      );
    }
  }
  return body.toString('utf8');
}

/** The checksum algorithm that a request names for an upload it begins. */
export function namedAlgorithm(value: string | undefined): ChecksumAlgorithm | undefined {
  if (value === undefined) return undefined;
  const algorithm = CHECKSUM_ALGORITHMS.find((name) => name === value.toLowerCase());
  if (!algorithm)
    throw new ServiceError(400, 'InvalidRequest', 'Checksum algorithm provided is unsupported.');
  return algorithm;
}

function expectedLength(request: Request, chunked: boolean): number {
  const text = chunked ? header(request, 'x-amz-decoded-content-length') : request.headers['content-length'];
  if (text === undefined) {
    // A request without a body, such as an empty PUT of curl, has neither length nor chunks.
    if (request.headers['transfer-encoding'] === undefined && !chunked) return 0;
    throw new ServiceError(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
  }
  const length = Number(text);
  if (!Number.isInteger(length) || length < 0)
    throw new ServiceError(400, 'InvalidArgument', 'invalid content length');
  if (length > MAXIMUM_BYTES) {
    throw new ServiceError(400, 'EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size');
  }
  return length;
}

function statedChecksum(request: Request): { algorithm: ChecksumAlgorithm; value: string } | undefined {
  const stated = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
    const value = header(request, `x-amz-checksum-${algorithm}`);
    return value === undefined ? [] : [{ algorithm, value }];
  });
  if (stated.length > 1) {
    throw new ServiceError(400, 'InvalidRequest', 'Expecting a single x-amz-checksum- header.');
  }
  const [only] = stated;
  if (only && Buffer.from(only.value, 'base64').length !== checksumLength(only.algorithm)) {
    throw new ServiceError(
      400,
      'InvalidRequest',
      `Value for x-amz-checksum-${only.algorithm} header is invalid.`,
    );
  }
  return only;
}

function trailingAlgorithm(request: Request): ChecksumAlgorithm | undefined {
  const names = header(request, 'x-amz-trailer');
  if (!names) return undefined;
  return namedAlgorithm(names.trim().replace(/^x-amz-checksum-/i, ''));
}

function requireTrailer(trailers: ReadonlyMap<string, string>, algorithm: ChecksumAlgorithm): string {
  const value = trailers.get(`x-amz-checksum-${algorithm}`);
  if (value === undefined)
    throw new ServiceError(400, 'MalformedTrailerError', 'the promised trailer did not come');
  return value;
}

function verifyMd5(request: Request, md5: Buffer): void {
  const claimed = request.headers['content-md5'];
  if (claimed === undefined) return;
  const bytes = Buffer.from(String(claimed), 'base64');
  if (bytes.length !== 16)
    throw new ServiceError(400, 'InvalidDigest', 'The Content-MD5 you specified is not valid.');
  if (!bytes.equals(md5)) {
    throw new ServiceError(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.');
  }
}

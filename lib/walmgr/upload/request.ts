import { createHmac, timingSafeEqual } from 'node:crypto';
import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import { type Codec, checkCodec } from '../archive/codec.ts';

/** What a host asks before it uploads a file: `key=value` lines, signed with the cluster's key. `time` is with  them, in seconds since 1970. */
export interface UploadRequest {
  cluster: string;
  name: string;
  /** Bytes and SHA-256 of the file. */
  size: number;
  sha256: string;
  /** Bytes and SHA-256 of what is sent, which may be compressed. */
  objectSize: number;
  objectSha256: string;
  codec: Codec;
  /** The first 40 bytes of the file, from which its cluster and place in the WAL can be told. */
  header: Buffer;
}

/** How far a host's clock may be off, in seconds, which is also how long a caught request could be repeated. */
const CLOCK_SECONDS = 300;

/** Longest body, in bytes. */
const BODY_BYTES = 2048;

const refused = (message: string) =>
  new UsageError('WAL_UPLOAD_INVALID', message, { hint: 'docs/guides/wal-upload.md shows what to send' });

/** The signature of a request body, hexadecimal: HMAC-SHA256 with the cluster's key. */
export function signUpload(body: string, key: string): string {
  return createHmac('sha256', key).update(body).digest('hex');
}

/** The cluster a body names: read before anything is believed, to find the key that must have signed it. */
export function clusterOfBody(body: string): string {
  const name = /^cluster=([A-Za-z0-9_.-]{1,63})$/m.exec(body)?.[1];
  if (body.length > BODY_BYTES || name === undefined) throw refused('the request names no cluster');
  return name;
}

/** Reads `key=value` lines whose signature is right. @throws SkytoolsError WAL_UPLOAD_FORBIDDEN */
function readSigned(
  body: string,
  signature: string,
  key: string,
  now: Date,
): (name: string, pattern: RegExp) => string {
  const expected = Buffer.from(signUpload(body, key), 'hex');
  const given = Buffer.from(/^[0-9a-f]{64}$/.test(signature) ? signature : '00', 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new SkytoolsError('WAL_UPLOAD_FORBIDDEN', 'the signature of the request is wrong', {
      hint: 'the key on the host must be the one the function has',
    });
  }
  const values = new Map(body.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string]));
  const take = (name: string, pattern: RegExp): string => {
    const value = values.get(name) ?? '';
    if (!pattern.test(value)) throw refused(`${name} is missing or malformed`);
    return value;
  };
  if (Math.abs(now.getTime() / 1000 - Number(take('time', /^\d{1,12}$/))) > CLOCK_SECONDS) {
    throw new SkytoolsError('WAL_UPLOAD_FORBIDDEN', 'the request is too old, or from the future', {
      hint: 'set the clock of the host',
    });
  }
  return take;
}

/**
 * Checks the signature and form of a request to upload.
 *
 * @throws SkytoolsError WAL_UPLOAD_FORBIDDEN; UsageError WAL_UPLOAD_INVALID
 */
export function readUploadRequest(body: string, signature: string, key: string, now: Date): UploadRequest {
  const take = readSigned(body, signature, key, now);
  return {
    cluster: clusterOfBody(body),
    name: take('name', /^[0-9A-Za-z.]{1,64}$/),
    size: Number(take('size', /^\d{1,10}$/)),
    sha256: take('sha256', /^[0-9a-f]{64}$/),
    objectSize: Number(take('object_size', /^\d{1,10}$/)),
    objectSha256: take('object_sha256', /^[0-9a-f]{64}$/),
    codec: checkCodec(take('codec', /^[a-z]{1,8}$/)),
    header: Buffer.from(take('header', /^([0-9a-f]{2}){1,40}$/), 'hex'),
  };
}

/** Checks the signature and form of a request to read one file: `cluster`, `name`, `time`. */
export function readDownloadRequest(
  body: string,
  signature: string,
  key: string,
  now: Date,
): { cluster: string; name: string } {
  const take = readSigned(body, signature, key, now);
  return { cluster: clusterOfBody(body), name: take('name', /^[0-9A-Za-z.]{1,64}$/) };
}

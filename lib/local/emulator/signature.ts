import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { type Request, ServiceError } from './wire.ts';

/** The one key pair that the emulator accepts. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** AWS refuses a signature whose clock differs by more than fifteen minutes. */
const MAXIMUM_SKEW_MS = 15 * 60 * 1000;
/** A presigned URL lives at most a week. */
const MAXIMUM_EXPIRY_SECONDS = 7 * 24 * 3600;

interface Claim {
  readonly credential: string;
  readonly signedHeaders: string;
  readonly signature: string;
  readonly date: string;
}

/**
 * Verifies Signature Version 4, in the Authorization header or in the query of a presigned URL.
 *
 * @param payloadHash what the signature says about the body: the value of x-amz-content-sha256, or the body's hash
 * @throws ServiceError 403 in S3's words: AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed
 */
export function verifySignature(
  request: Request,
  credentials: Credentials,
  payloadHash: string,
  now = Date.now(),
): void {
  const presigned = request.query.some(([name]) => name === 'X-Amz-Signature');
  const claim = presigned ? claimOfQuery(request, now) : claimOfHeader(request, now);
  const [accessKeyId, day, region, service, terminator] = claim.credential.split('/');
  if (terminator !== 'aws4_request' || !day || !region || !service || !claim.date.startsWith(day)) {
    throw new ServiceError(400, 'AuthorizationHeaderMalformed', 'the credential scope is malformed');
  }
  if (accessKeyId !== credentials.accessKeyId) {
    throw new ServiceError(
      403,
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
    );
  }
  const signed = claim.signedHeaders.split(';');
  refuseUnsignedHeaders(request, signed);
  const canonical = [
    request.method,
    canonicalPath(request.path),
    canonicalQuery(request),
    ...signed.map((name) => `${name}:${canonicalValue(request.headers[name])}`),
    '',
    claim.signedHeaders,
    payloadHash,
  ].join('\n');
  const text = [
    'AWS4-HMAC-SHA256',
    claim.date,
    `${day}/${region}/${service}/aws4_request`,
    sha256(canonical),
  ].join('\n');
  const key = signingKey(credentials.secretAccessKey, day, region, service);
  const expected = hmac(key, text);
  const given = Buffer.from(claim.signature, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new ServiceError(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
  }
}

/** SHA-256 in hexadecimal, as signatures use it. */
export function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function claimOfHeader(request: Request, now: number): Claim {
  const value = request.headers.authorization;
  if (value === undefined) throw new ServiceError(403, 'AccessDenied', 'Access Denied');
  const match =
    /^AWS4-HMAC-SHA256 +Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]+)$/.exec(value);
  const date = request.headers['x-amz-date'];
  if (!match || typeof date !== 'string') {
    throw new ServiceError(400, 'AuthorizationHeaderMalformed', 'The authorization header is malformed.');
  }
  const [, credential = '', signedHeaders = '', signature = ''] = match;
  if (Math.abs(now - instant(date)) > MAXIMUM_SKEW_MS) {
    throw new ServiceError(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    );
  }
  return { credential, signedHeaders, signature, date };
}

function claimOfQuery(request: Request, now: number): Claim {
  const values = new Map(request.query);
  const take = (name: string): string => {
    const value = values.get(name);
    if (value === undefined) {
      throw new ServiceError(
        400,
        'AuthorizationQueryParametersError',
        `Query-string authentication requires ${name}.`,
      );
    }
    return value;
  };
  if (take('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') {
    throw new ServiceError(
      400,
      'AuthorizationQueryParametersError',
      'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"',
    );
  }
  const date = take('X-Amz-Date');
  const expires = Number(take('X-Amz-Expires'));
  if (!Number.isInteger(expires) || expires < 1 || expires > MAXIMUM_EXPIRY_SECONDS) {
    throw new ServiceError(
      400,
      'AuthorizationQueryParametersError',
      'X-Amz-Expires must be between 1 and 604800 seconds',
    );
  }
  const from = instant(date);
  if (now > from + expires * 1000) throw new ServiceError(403, 'AccessDenied', 'Request has expired');
  if (now < from - MAXIMUM_SKEW_MS) throw new ServiceError(403, 'AccessDenied', 'Request is not yet valid');
  return {
    credential: take('X-Amz-Credential'),
    signedHeaders: take('X-Amz-SignedHeaders'),
    signature: take('X-Amz-Signature'),
    date,
  };
}

/** A header that changes the request's meaning and is not signed could have been added by anyone. */
function refuseUnsignedHeaders(request: Request, signed: readonly string[]): void {
  for (const name of Object.keys(request.headers)) {
    if ((name === 'host' || name.startsWith('x-amz-')) && !signed.includes(name)) {
      throw new ServiceError(
        403,
        'AccessDenied',
        `There were headers present in the request which were not signed: ${name}`,
      );
    }
  }
}

/** Reads the basic ISO 8601 form of signatures, `20260102T030405Z`. */
function instant(date: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date);
  if (!match) throw new ServiceError(403, 'AccessDenied', 'the date must have the form YYYYMMDDThhmmssZ');
  const [, year, month, day, hour, minute, second] = match;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function canonicalPath(path: string): string {
  return path
    .split('/')
    .map((segment) => encode(decodeURIComponent(segment)))
    .join('/');
}

function canonicalQuery(request: Request): string {
  return request.query
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
}

function canonicalValue(value: string | string[] | undefined): string {
  const text = Array.isArray(value) ? value.join(',') : (value ?? '');
  return text.trim().replace(/ +/g, ' ');
}

/** RFC 3986: everything but unreserved characters is escaped. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const signingKeys = new Map<string, Buffer>();

/** Derived once for each day, region and service: four of a request's five HMACs are spared. */
function signingKey(secret: string, day: string, region: string, service: string): Buffer {
  const name = [secret, day, region, service].join('/');
  let key = signingKeys.get(name);
  if (!key) {
    key = [region, service, 'aws4_request'].reduce(hmac, hmac(`AWS4${secret}`, day));
    signingKeys.set(name, key);
  }
  return key;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

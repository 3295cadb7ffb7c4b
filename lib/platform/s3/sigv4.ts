import { createHash, createHmac } from 'node:crypto';

/** What signs a request. */
export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

/** SHA-256 of nothing, the payload hash of requests without a body. */
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Longest life of a presigned URL, in seconds: what S3 allows. */
const MAX_PRESIGN_SECONDS = 604_800;

const ALGORITHM = 'AWS4-HMAC-SHA256';

/** A request before it is signed. `path` is percent-encoded, `query` and `headers` are not. */
export interface SignableRequest {
  method: string;
  host: string;
  path: string;
  query: Record<string, string>;
  /** Lower-case names. */
  headers: Record<string, string>;
}

/** Percent-encodes as Signature Version 4 wants it: everything but letters, digits and `-._~`. */
function encodeRfc3986(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** An object key as the path of a request. */
export function encodePath(key: string): string {
  return key.split('/').map(encodeRfc3986).join('/');
}

/** A query string in the order that is signed. */
export function encodeQuery(query: Record<string, string>): string {
  return Object.entries(query)
    .map(([name, value]) => [encodeRfc3986(name), encodeRfc3986(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

function signature(
  request: SignableRequest,
  signedHeaders: string[],
  payloadHash: string,
  timestamp: string,
  region: string,
  secret: string,
): string {
  const headers = signedHeaders.map(
    (name) =>
      `${name}:${(name === 'host' ? request.host : request.headers[name]!).trim().replace(/ +/g, ' ')}\n`,
  );
  const canonical = [
    request.method,
    request.path,
    encodeQuery(request.query),
    headers.join(''),
    signedHeaders.join(';'),
    payloadHash,
  ].join('\n');
  const day = timestamp.slice(0, 8);
  const toSign = [
    ALGORITHM,
    timestamp,
    `${day}/${region}/s3/aws4_request`,
    createHash('sha256').update(canonical).digest('hex'),
  ].join('\n');
  const key = ['s3', 'aws4_request'].reduce(hmac, hmac(hmac(`AWS4${secret}`, day), region));
  return createHmac('sha256', key).update(toSign).digest('hex');
}

const stamp = (now: Date) => now.toISOString().replace(/[-:]|\.\d+/g, '');

/**
 * The headers that authenticate a request (AWS Signature Version 4, "Authenticating Requests: Authorization header").
 *
 * @param payloadHash SHA-256 of the body in hexadecimal
 */
export function signHeaders(
  request: SignableRequest,
  payloadHash: string,
  region: string,
  credentials: Credentials,
  now: Date,
): Record<string, string> {
  const timestamp = stamp(now);
  const headers: Record<string, string> = {
    ...request.headers,
    'x-amz-date': timestamp,
    'x-amz-content-sha256': payloadHash,
    ...(credentials.sessionToken ? { 'x-amz-security-token': credentials.sessionToken } : {}),
  };
  const names = ['host', ...Object.keys(headers)].sort();
  const signed = signature(
    { ...request, headers },
    names,
    payloadHash,
    timestamp,
    region,
    credentials.secretAccessKey,
  );
  const scope = `${credentials.accessKeyId}/${timestamp.slice(0, 8)}/${region}/s3/aws4_request`;
  return {
    ...headers,
    authorization: `${ALGORITHM} Credential=${scope}, SignedHeaders=${names.join(';')}, Signature=${signed}`,
  };
}

/**
 * The query string of a presigned URL ("Authenticating Requests: Using Query Parameters"). Whoever uses it has to send
 * exactly `request.headers`: they are signed.
 */
export function presignQuery(
  request: SignableRequest,
  expiresSeconds: number,
  region: string,
  credentials: Credentials,
  now: Date,
): string {
  const timestamp = stamp(now);
  const names = ['host', ...Object.keys(request.headers)].sort();
  const query: Record<string, string> = {
    ...request.query,
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': `${credentials.accessKeyId}/${timestamp.slice(0, 8)}/${region}/s3/aws4_request`,
    'X-Amz-Date': timestamp,
    'X-Amz-Expires': String(Math.min(expiresSeconds, MAX_PRESIGN_SECONDS)),
    'X-Amz-SignedHeaders': names.join(';'),
    ...(credentials.sessionToken ? { 'X-Amz-Security-Token': credentials.sessionToken } : {}),
  };
  const signed = signature(
    { ...request, query },
    names,
    'UNSIGNED-PAYLOAD',
    timestamp,
    region,
    credentials.secretAccessKey,
  );
  return `${encodeQuery(query)}&X-Amz-Signature=${signed}`;
}

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
  scope: string,
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
  const toSign = [ALGORITHM, timestamp, scope, createHash('sha256').update(canonical).digest('hex')].join(
    '\n',
  );
  const key = scope.split('/').reduce<Buffer | string>(hmac, `AWS4${secret}`);
  return createHmac('sha256', key).update(toSign).digest('hex');
}

/** Day, region and service: what a signing key is good for. */
const scopeOf = (timestamp: string, region: string, service: string) =>
  `${timestamp.slice(0, 8)}/${region}/${service}/aws4_request`;

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
  const scope = scopeOf(timestamp, region, 's3');
  const signed = signature(
    { ...request, headers },
    names,
    payloadHash,
    timestamp,
    scope,
    credentials.secretAccessKey,
  );
  return {
    ...headers,
    authorization: `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signed}`,
  };
}

/**
 * The query string of a presigned URL ("Authenticating Requests: Using Query Parameters"). Whoever uses it has to send
 * exactly `request.headers`: they are signed.
 *
 * @param service whose request it is; only S3 leaves the payload unsigned, others sign that there is none
 */
export function presignQuery(
  request: SignableRequest,
  expiresSeconds: number,
  region: string,
  credentials: Credentials,
  now: Date,
  service: 's3' | 'rds-db' = 's3',
): string {
  const timestamp = stamp(now);
  const scope = scopeOf(timestamp, region, service);
  const names = ['host', ...Object.keys(request.headers)].sort();
  const query: Record<string, string> = {
    ...request.query,
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': `${credentials.accessKeyId}/${scope}`,
    'X-Amz-Date': timestamp,
    'X-Amz-Expires': String(Math.min(expiresSeconds, MAX_PRESIGN_SECONDS)),
    'X-Amz-SignedHeaders': names.join(';'),
    ...(credentials.sessionToken ? { 'X-Amz-Security-Token': credentials.sessionToken } : {}),
  };
  const signed = signature(
    { ...request, query },
    names,
    service === 's3' ? 'UNSIGNED-PAYLOAD' : EMPTY_SHA256,
    timestamp,
    scope,
    credentials.secretAccessKey,
  );
  return `${encodeQuery(query)}&X-Amz-Signature=${signed}`;
}

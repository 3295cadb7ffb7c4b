import { createReadStream } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { SkytoolsError } from '../errors.ts';
import { type FoundCredentials, findCredentials } from './credentials.ts';
import { EMPTY_SHA256, encodePath, encodeQuery, presignQuery, signHeaders } from './sigv4.ts';

/** A bucket and how to reach it. */
export interface S3ClientOptions {
  bucket: string;
  region: string;
  /** Such as `http://127.0.0.1:9000`, then with the bucket in the path; default: AWS. */
  endpoint?: string;
  /** Default: {@link findCredentials}. */
  credentials?: () => Promise<FoundCredentials>;
  /** How long one call may go on repeating failed attempts, in milliseconds. */
  retryForMs?: number;
  /** Silence on a connection after which an attempt has failed, in milliseconds. */
  idleTimeoutMs?: number;
}

/** What to send: bytes in memory, or a file that is read again at every attempt. */
export type S3Body = Buffer | { file: string; size: number };

export interface S3Call {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Empty for calls on the bucket. */
  key: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: S3Body;
  /** SHA-256 of the body in hexadecimal. */
  bodySha256?: string;
  /** Statuses that are answers, besides 200 to 299; everything else is retried or thrown. */
  accept?: number[];
}

/** Sixty seconds: longer outages are PostgreSQL's to retry, and the next invocation's. */
const RETRY_FOR_MS = 60_000;
const IDLE_TIMEOUT_MS = 20_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
/** Ask for new credentials this long before the old ones end, in milliseconds. */
const CREDENTIAL_MARGIN_MS = 60_000;
/** Longest error answer that is read, in bytes. */
const ERROR_BYTES = 64 * 1024;

/** Worth another attempt: conflicts of conditional writes, throttling, the server's own trouble. */
const RETRYABLE = new Set([408, 409, 429, 500, 502, 503, 504]);

/**
 * S3 over HTTP, signed by hand: the command that PostgreSQL starts for every segment has to be running in 30 ms, which
 * leaves no time to load an SDK, and one client for all of this room keeps its rules (conditional writes, checksums,
 * what is retried) in one place.
 */
export class S3Client {
  readonly bucket: string;
  readonly #region: string;
  readonly #host: string;
  readonly #basePath: string;
  readonly #secure: boolean;
  readonly #port: number | undefined;
  readonly #hostname: string;
  readonly #agent: HttpAgent;
  readonly #findCredentials: () => Promise<FoundCredentials>;
  readonly #retryForMs: number;
  readonly #idleTimeoutMs: number;
  #credentials: Promise<FoundCredentials> | undefined;
  #renewAt = Number.POSITIVE_INFINITY;

  constructor(options: S3ClientOptions) {
    this.bucket = options.bucket;
    this.#region = options.region;
    // A bucket with dots in its name matches no certificate: address it by path.
    const inPath = options.endpoint !== undefined || options.bucket.includes('.');
    const url = new URL(
      options.endpoint ?? `https://${inPath ? '' : `${options.bucket}.`}s3.${options.region}.amazonaws.com`,
    );
    this.#secure = url.protocol === 'https:';
    this.#host = url.host;
    this.#hostname = url.hostname;
    this.#port = url.port === '' ? undefined : Number(url.port);
    this.#basePath = `${url.pathname.replace(/\/$/, '')}${inPath ? `/${options.bucket}` : ''}`;
    this.#agent = this.#secure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
    this.#findCredentials = options.credentials ?? (() => findCredentials());
    this.#retryForMs = options.retryForMs ?? RETRY_FOR_MS;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? IDLE_TIMEOUT_MS;
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  /**
   * Sends a request, repeating it while the trouble is one that passes. The body of the answer is not read yet.
   *
   * @throws SkytoolsError S3_UNREACHABLE, S3_FORBIDDEN, S3_BUCKET_MISSING or S3_REQUEST_FAILED
   */
  async call(call: S3Call): Promise<IncomingMessage> {
    const giveUpAt = performance.now() + this.#retryForMs;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      const problem = await this.#attempt(call);
      if (!(problem instanceof SkytoolsError)) return problem;
      const wait = pause * (0.5 + Math.random());
      if (!problem.retryable || performance.now() + wait > giveUpAt) throw problem;
      await sleep(wait);
    }
  }

  async #attempt(call: S3Call): Promise<IncomingMessage | SkytoolsError> {
    let response: IncomingMessage;
    try {
      response = await this.#send(call);
    } catch (error) {
      if (error instanceof SkytoolsError) return error;
      return new SkytoolsError(
        'S3_UNREACHABLE',
        `${call.method} ${call.key || this.bucket}: no answer from s3`,
        {
          hint: `check that ${this.#host} can be reached from here`,
          subject: { key: call.key },
          cause: error,
          retryable: true,
        },
      );
    }
    const status = response.statusCode!;
    if ((status >= 200 && status < 300) || call.accept?.includes(status)) return response;
    const text = (await readUpTo(response, ERROR_BYTES).catch(() => Buffer.alloc(0))).toString('utf8');
    return this.#errorOf(call, status, xmlText(text, 'Code') ?? '');
  }

  #errorOf(call: S3Call, status: number, code: string): SkytoolsError {
    const what = `${call.method} ${call.key || this.bucket}: s3 answered ${status}${code && ` ${code}`}`;
    const subject = { bucket: this.bucket, key: call.key };
    if (code === 'ExpiredToken') this.#credentials = undefined;
    if (status === 403 || status === 401) {
      return new SkytoolsError('S3_FORBIDDEN', what, {
        hint: 'check the credentials, the clock, and the policy (it needs s3:ListBucket too)',
        subject,
        retryable: code === 'ExpiredToken',
      });
    }
    if (status === 404 && code === 'NoSuchBucket') {
      return new SkytoolsError('S3_BUCKET_MISSING', what, {
        hint: 'create the bucket or correct its name',
        subject,
      });
    }
    return new SkytoolsError('S3_REQUEST_FAILED', what, {
      hint: RETRYABLE.has(status)
        ? 'the store is overloaded or in trouble: try again later'
        : 'see the status and code',
      subject: { ...subject, status: String(status), s3code: code },
      retryable: RETRYABLE.has(status),
    });
  }

  async #currentCredentials(): Promise<FoundCredentials> {
    if (!this.#credentials || Date.now() > this.#renewAt) {
      this.#credentials = this.#findCredentials();
      this.#credentials.catch(() => {
        this.#credentials = undefined;
      });
      const { expiresAt } = await this.#credentials;
      this.#renewAt = expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt - CREDENTIAL_MARGIN_MS;
    }
    return this.#credentials;
  }

  #pathOf(key: string): string {
    return `${this.#basePath}/${encodePath(key)}`;
  }

  async #send(call: S3Call): Promise<IncomingMessage> {
    const { body, query = {} } = call;
    const path = this.#pathOf(call.key);
    const size = body === undefined ? 0 : Buffer.isBuffer(body) ? body.length : body.size;
    const headers = signHeaders(
      {
        method: call.method,
        host: this.#host,
        path,
        query,
        headers: { ...call.headers, ...(body === undefined ? {} : { 'content-length': String(size) }) },
      },
      call.bodySha256 ?? EMPTY_SHA256,
      this.#region,
      await this.#currentCredentials(),
      new Date(),
    );
    const search = encodeQuery(query);
    return new Promise((resolve, reject) => {
      const request = (this.#secure ? httpsRequest : httpRequest)({
        method: call.method,
        hostname: this.#hostname,
        port: this.#port,
        path: search ? `${path}?${search}` : path,
        headers: { host: this.#host, ...headers },
        agent: this.#agent,
        timeout: this.#idleTimeoutMs,
      });
      request.on('timeout', () => request.destroy(new Error(`no data for ${this.#idleTimeoutMs} ms`)));
      request.on('error', reject);
      request.on('response', resolve);
      if (body === undefined || Buffer.isBuffer(body)) request.end(body);
      else pipeline(createReadStream(body.file), request).catch(reject);
    });
  }

  /** A URL that lets its holder do one thing without credentials, for `expiresSeconds`, sending exactly `headers`. */
  async presign(
    method: 'GET' | 'PUT',
    key: string,
    expiresSeconds: number,
    headers: Record<string, string> = {},
  ): Promise<string> {
    const path = this.#pathOf(key);
    const query = presignQuery(
      { method, host: this.#host, path, query: {}, headers },
      expiresSeconds,
      this.#region,
      await this.#currentCredentials(),
      new Date(),
    );
    return `${this.#secure ? 'https' : 'http'}://${this.#host}${path}?${query}`;
  }
}

/** Reads an answer's body; fails when it is longer than `limit` bytes or ends early. */
export async function readUpTo(response: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit)
      throw new SkytoolsError('S3_ANSWER_TOO_LONG', `an answer is longer than ${limit} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
}

/** The text of the first element `name` in a piece of XML, entities resolved. */
export function xmlText(xml: string, name: string): string | undefined {
  const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return found
    ?.replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replace(/&#(x?)([0-9A-Fa-f]+);/g, (_, hex: string, digits: string) =>
      String.fromCodePoint(Number.parseInt(digits, hex ? 16 : 10)),
    )
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

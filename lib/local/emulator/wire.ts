import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

/** One request as the services see it. Header names are lower case, as node:http gives them. */
export interface Request {
  readonly method: string;
  /** The path as it was sent, still percent-encoded: the signature covers this form. */
  readonly path: string;
  /** Decoded query parameters in the order they were sent. */
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly headers: IncomingHttpHeaders;
  /** The body; asking for it is what answers `Expect: 100-continue`, so that a refusal costs no upload. */
  body(): Readable;
  /** Aborts when the client goes away before it is answered. */
  readonly gone: AbortSignal;
}

/** What a service answers; the server writes it, so that faults can be injected between the two. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Readable;
}

/** A refusal in the words of the service concerned: S3 renders it as XML, SQS as JSON. */
export class ServiceError extends Error {
  readonly status: number;
  readonly code: string;
  /** Further elements or headers that AWS adds for this code. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = 'ServiceError';
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** The account and region that every emulated resource belongs to. */
export const ACCOUNT = '000000000000';
export const REGION = 'us-east-1';

/** Splits a raw query string without the form-encoding rules of URLSearchParams, where `+` would be a space. */
export function parseQuery(raw: string): [string, string][] {
  if (raw === '') return [];
  return raw.split('&').map((pair) => {
    const at = pair.indexOf('=');
    const [name, value] = at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
    return [decodeURIComponent(name), decodeURIComponent(value)];
  });
}

/** The one value of a query parameter, or undefined where it was not sent. */
export function parameter(request: Request, name: string): string | undefined {
  return request.query.find(([candidate]) => candidate === name)?.[1];
}

/**
 * A header's value; of a presigned request also an `x-amz-*` header that the signer moved into the query,
 * which S3 treats alike.
 */
export function header(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  if (value !== undefined) return Array.isArray(value) ? value.join(',') : value;
  if (!name.startsWith('x-amz-')) return undefined;
  return request.query.find(([candidate]) => candidate.toLowerCase() === name)?.[1];
}

import { createHash } from 'node:crypto';
import type { ConsumerOfKind } from '../../../platform/config.ts';
import { UsageError } from '../../../platform/errors.ts';
import { resolveSecret } from '../../../platform/secrets.ts';
import type { Batch } from '../../batch.ts';
import type { Destination, Entry, Outcome } from './destination.ts';
import { eventJson } from './event-json.ts';
import { signatureHeaders } from './signature.ts';

const CONTENT_TYPES = {
  ndjson: 'application/x-ndjson',
  json: 'application/json',
  event: 'application/json',
};

/** The answer is about the endpoint (who asks, and where), not about the events: none of them is to blame. */
const OF_THE_ENDPOINT = new Set([401, 402, 403, 404, 405, 406, 407, 410, 421, 426, 451]);
/** The endpoint asks to come again. */
const PASSING = new Set([408, 423, 425, 429]);

/** A web service that takes events by POST. */
export async function httpDestination(consumer: ConsumerOfKind<'http'>): Promise<Destination> {
  const { format, data, maximumBytes } = consumer;
  const url = await resolvedUrl(consumer);
  const secrets = await Promise.all([consumer.secret ?? []].flat().map(resolveSecret));
  const headers: Record<string, string> = { 'user-agent': 'skytools' };
  for (const [name, value] of Object.entries(consumer.headers)) headers[name] = await resolveSecret(value);
  return {
    maximumEntries: format === 'event' ? 1 : consumer.maximumEvents,
    maximumBytes,
    encode(event) {
      const body = eventJson(event, data);
      // The line break, or the comma and a bracket.
      return { body, bytes: Buffer.byteLength(body) + 2 };
    },
    async send(entries, batch, timeoutMs): Promise<Outcome> {
      const body = bodyOf(format, entries);
      const id = requestId(consumer.database, batch, entries);
      let response: Response;
      try {
        response = await fetch(url, {
          method: 'POST',
          redirect: 'manual',
          signal: AbortSignal.timeout(Math.ceil(timeoutMs)),
          headers: {
            ...headers,
            'content-type': CONTENT_TYPES[format],
            'idempotency-key': id,
            'skytools-queue': encodeURIComponent(batch.queue),
            'skytools-consumer': encodeURIComponent(batch.consumer),
            'skytools-batch': String(batch.id),
            ...signatureHeaders(id, body, secrets, new Date()),
          },
          body,
        });
        await response.body?.cancel();
      } catch (error) {
        return { kind: 'down', reason: networkReason(error) };
      }
      return outcomeOf(response);
    },
  };
}

async function resolvedUrl(consumer: ConsumerOfKind<'http'>): Promise<URL> {
  const url = URL.parse(await resolveSecret(consumer.url));
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new UsageError('FORWARD_URL_INVALID', 'the reference to the endpoint holds no http(s) url', {
    subject: { consumer: consumer.consumer },
    hint: `store the whole url in ${consumer.url.split(':')[0]} under the name that "url" gives`,
  });
}

const bodyOf = (format: ConsumerOfKind<'http'>['format'], entries: readonly Entry[]): string => {
  const bodies = entries.map(({ body }) => body);
  if (format === 'ndjson') return `${bodies.join('\n')}\n`;
  return format === 'json' ? `[${bodies.join(',')}]` : bodies[0]!;
};

/** The same for the same events of the same batch, however often they are sent; another one when an event is retried later. */
function requestId(database: string, batch: Batch, entries: readonly Entry[]): string {
  const parts = [
    database,
    batch.queue,
    batch.consumer,
    String(batch.id),
    ...entries.map(({ event }) => String(event.id)),
  ];
  return `sk_${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)}`;
}

function outcomeOf({ status, headers }: Response): Outcome {
  if (status >= 200 && status < 300) return { kind: 'taken', refused: [], again: [] };
  const reason = `HTTP ${status}`;
  const waitSeconds = retryAfterSeconds(headers.get('retry-after'));
  if (status >= 500 || PASSING.has(status)) return { kind: 'down', reason, waitSeconds };
  if (status < 400 || OF_THE_ENDPOINT.has(status))
    return { kind: 'down', reason, waitSeconds, hopeless: true };
  return { kind: 'refused', reason };
}

/** Retry-After as seconds or as a date (RFC 9110, 10.2.3); undefined where it is neither. */
export function retryAfterSeconds(header: string | null, now: number = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}

/** `ECONNREFUSED`, `UND_ERR_SOCKET`, `TimeoutError`: the code says what happened, the message may hold the address. */
function networkReason(error: unknown): string {
  const { name, code, cause } = error as { name?: string; code?: string; cause?: { code?: string } };
  return `no answer (${cause?.code ?? (typeof code === 'string' ? code : name)})`;
}

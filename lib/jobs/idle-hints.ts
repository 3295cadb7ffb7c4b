import { createHash } from 'node:crypto';
import { logError } from '../platform/logger.ts';
import { S3Client } from '../platform/s3/client.ts';

/** Names the bucket of the hints; without it every database is ticked every minute. */
const BUCKET_VARIABLE = 'SKYTOOLS_HINTS_BUCKET';

/** A hint is not worth waiting for, in milliseconds. */
const RETRY_FOR_MS = 2_000;
const IDLE_TIMEOUT_MS = 2_000;

/** Until when each idle database may be left alone, in milliseconds since 1970. */
type Hints = Record<string, number>;

const KEY = 'hints/idle.json';

/** Two ticks that write at the same moment: the loser reads again. Losing a hint costs one tick, so few attempts do. */
const ATTEMPTS = 3;

interface Version {
  hints: Hints;
  etag: string | undefined;
}

/**
 * One small S3 object that tells the sweep which databases are asleep. It is a hint: without it, or with an old one, a
 * database is ticked once more than needed, or at most a quarter of an hour late.
 */
export class IdleHints {
  readonly #store: S3Client;

  constructor(store: S3Client) {
    this.#store = store;
  }

  /** The databases of `names` that are due for a tick now. Without a readable hint: all of them. */
  async due(names: readonly string[], now: number = Date.now()): Promise<string[]> {
    try {
      const { hints } = await this.#read();
      return names.filter((name) => !((hints[name] ?? 0) > now));
    } catch (error) {
      logError('idle hints cannot be read: every database is ticked', error);
      return [...names];
    }
  }

  /** Notes that `database` may be left alone until then; a time in the past removes the note. Never throws. */
  async note(database: string, until: number, now: number = Date.now()): Promise<void> {
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const { hints, etag } = await this.#read();
        const asleep = until > now;
        if (!asleep && hints[database] === undefined) return;
        const kept = Object.entries(hints).filter(([name, time]) => name !== database && time > now);
        const next: Hints = Object.fromEntries(asleep ? [...kept, [database, until]] : kept);
        if (await this.#write(next, etag)) return;
      }
    } catch (error) {
      logError('idle hint not written: the database is ticked once more than needed', error);
    }
  }

  async #read(): Promise<Version> {
    const response = await this.#store.call({ method: 'GET', key: KEY, accept: [404] });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    if (response.statusCode === 404) return { hints: {}, etag: undefined };
    return {
      hints: JSON.parse(Buffer.concat(chunks).toString('utf8')) as Hints,
      etag: response.headers.etag,
    };
  }

  async #write(hints: Hints, etag: string | undefined): Promise<boolean> {
    const body = Buffer.from(JSON.stringify(hints));
    const response = await this.#store.call({
      method: 'PUT',
      key: KEY,
      body,
      bodySha256: createHash('sha256').update(body).digest('hex'),
      headers: {
        'content-type': 'application/json',
        ...(etag === undefined ? { 'if-none-match': '*' } : { 'if-match': etag }),
      },
      accept: [404, 409, 412],
    });
    response.resume();
    return response.statusCode === 200;
  }
}

let hints: IdleHints | undefined;

/** The hints of this deployment, or undefined where no bucket is configured for them. */
export function hintsFromEnvironment(env: NodeJS.ProcessEnv = process.env): IdleHints | undefined {
  const bucket = env[BUCKET_VARIABLE];
  if (!bucket) return undefined;
  const endpoint = env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL;
  hints ??= new IdleHints(
    new S3Client({
      bucket,
      region: env.AWS_REGION ?? 'us-east-1',
      retryForMs: RETRY_FOR_MS,
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      ...(endpoint ? { endpoint } : {}),
    }),
  );
  return hints;
}

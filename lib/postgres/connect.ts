import type { Socket } from 'node:net';
import pg from 'pg';
import { type ErrorSubject, errorMessage } from '../platform/errors.ts';
import { ConnectionError, hasSqlState, toSkytoolsError } from './errors.ts';
import { type ConnectionTarget, describeTarget, parseTarget } from './target.ts';
import { type Tls, tlsAttempts } from './tls.ts';

/** What the verbs of this project run SQL on. */
export type Client = pg.ClientBase;

/** int8 (oid 20) becomes bigint: event, tick and batch ids do not fit a JavaScript number. */
const INT8 = 20;

const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary' ? BigInt : pg.types.getTypeParser(oid, format as 'text')) as never,
};

export interface ConnectOptions {
  /** Shows in pg_stat_activity; at most 63 bytes. Accepted by PgBouncer as a start-up parameter. */
  applicationName?: string;
  /** Time to wait for a connection, in milliseconds. Default 10 s: a proxy may have to open a server connection first. */
  connectTimeoutMs?: number;
  /** Names the database in errors. */
  subject?: ErrorSubject;
  /** `database` opens a logical, `true` a physical replication connection (walmgr). */
  replication?: 'database' | true;
  /** Makes the socket where TLS is not wanted; default: pg's own. */
  stream?: () => Socket;
  /** Settings of this session alone, given at start-up (not through a proxy): for replication connections. */
  settings?: Record<string, string>;
}

/**
 * Opens one connection. No session state is set on it: time-outs belong to transactions (see transaction.ts), so it works
 * through a transaction-pooling proxy.
 *
 * @throws ConnectionError if the server cannot be reached; PostgresError if it refuses (28P01, 3D000, 53300 …)
 */
export async function connect(
  where: string | ConnectionTarget,
  options: ConnectOptions = {},
): Promise<pg.Client> {
  const target = typeof where === 'string' ? parseTarget(where) : where;
  const [first, ...others] = tlsAttempts(target);
  try {
    return await open(target, options, first);
  } catch (error) {
    if (others.length > 0 && asksForTheOtherWay(error)) return await open(target, options, others[0]!);
    throw error;
  }
}

/** What a server says that wants TLS where it was not spoken, or knows none where it was. */
const asksForTheOtherWay = (error: unknown): boolean =>
  error instanceof ConnectionError
    ? /does not support SSL/.test(errorMessage(error.cause))
    : hasSqlState(error, '28000');

async function open(target: ConnectionTarget, options: ConnectOptions, ssl: Tls): Promise<pg.Client> {
  const client = new pg.Client({
    host: target.host,
    port: target.port,
    database: target.database,
    user: target.user ?? 'postgres',
    ...(target.password === undefined ? {} : { password: target.password }),
    ssl,
    application_name: options.applicationName ?? target.applicationName ?? 'skytools',
    connectionTimeoutMillis: options.connectTimeoutMs ?? (target.connectTimeoutSeconds ?? 10) * 1000,
    keepAlive: true,
    types,
    ...(options.replication === undefined ? {} : { replication: String(options.replication) }),
    stream: ssl ? undefined : options.stream,
    ...(options.settings === undefined
      ? {}
      : {
          options: Object.entries(options.settings)
            .map(([name, value]) => `-c ${name}=${value}`)
            .join(' '),
        }),
  } as pg.ClientConfig);
  // Without a listener a connection that dies while idle would end the process; the next query reports it.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    throw toSkytoolsError(error, { database: describeTarget(target), ...options.subject });
  }
  return client;
}

const socketOf = (client: Client) =>
  (client as unknown as { connection: { stream: Socket } }).connection.stream;

/** Cuts the connection, whatever is going on over it. The server notices when it next has something to say. */
export const sever = (client: Client): void => {
  socketOf(client).destroy();
};

/** Whether nothing more can be sent over it. */
export const isSevered = (client: Client): boolean => socketOf(client).destroyed;

/** Closes without waiting for a server that does not answer. */
export async function disconnect(client: pg.Client): Promise<void> {
  const ended = client.end().catch(() => {});
  const timer = setTimeout(() => sever(client), 1000);
  await ended;
  clearTimeout(timer);
}

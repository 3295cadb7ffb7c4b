import type pg from 'pg';
import { SkytoolsError } from '../platform/errors.ts';
import { type ConnectOptions, connect, disconnect, isSevered } from './connect.ts';
import { CommitUnknownError, ConnectionError, PostgresError } from './errors.ts';
import type { ConnectionTarget } from './target.ts';

interface WarmConnection {
  client: pg.Client;
  usedAt: number;
}

/** Time to wait for the answer of the check, in milliseconds: a thawed function's socket may be dead without knowing. */
const CHECK_TIMEOUT_MS = 2_000;

/** A connection used so recently, in milliseconds, needs no check: the platform freezes only between invocations. */
const FRESH_MS = 500;

/**
 * Connections kept between the invocations of a warm function, at most one per database. A connection is lent to one user
 * at a time; a second user of the same database in the same invocation gets a connection of its own.
 */
export class WarmConnections {
  readonly #idle = new Map<string, WarmConnection>();

  /**
   * Runs `body` with a live connection to `target`. A connection kept from before is checked first and replaced if it does
   * not answer; it is dropped after an error that leaves its state unknown.
   */
  async use<T>(
    name: string,
    target: ConnectionTarget,
    body: (client: pg.Client) => Promise<T>,
    options: ConnectOptions = {},
  ): Promise<T> {
    const kept = this.#idle.get(name);
    this.#idle.delete(name);
    const alive = kept && (await isAlive(kept)) ? kept.client : undefined;
    const client = alive ?? (await this.#open(name, target, options));
    try {
      const result = await body(client);
      await this.#keep(name, client);
      return result;
    } catch (error) {
      if (leavesConnectionUsable(error)) await this.#keep(name, client);
      else await disconnect(client);
      throw error;
    }
  }

  async #open(name: string, target: ConnectionTarget, options: ConnectOptions): Promise<pg.Client> {
    const client = await connect(target, { ...options, subject: { database: name, ...options.subject } });
    // A connection that the server ends while nobody uses it is forgotten at once.
    client.once('end', () => {
      if (this.#idle.get(name)?.client === client) this.#idle.delete(name);
    });
    return client;
  }

  async #keep(name: string, client: pg.Client): Promise<void> {
    if (this.#idle.has(name) || isSevered(client)) await disconnect(client);
    else this.#idle.set(name, { client, usedAt: Date.now() });
  }

  /** Closes every idle connection. */
  async close(): Promise<void> {
    const idle = [...this.#idle.values()];
    this.#idle.clear();
    await Promise.all(idle.map(({ client }) => disconnect(client)));
  }
}

async function isAlive(connection: WarmConnection): Promise<boolean> {
  if (Date.now() - connection.usedAt < FRESH_MS) return true;
  const query = { text: 'select 1', query_timeout: CHECK_TIMEOUT_MS } as pg.QueryConfig;
  try {
    await connection.client.query(query);
    return true;
  } catch {
    await disconnect(connection.client);
    return false;
  }
}

function leavesConnectionUsable(error: unknown): boolean {
  if (error instanceof ConnectionError || error instanceof CommitUnknownError) return false;
  if (error instanceof PostgresError) return !/^(08|57P|25P03|25P04|XX)/.test(error.report.sqlstate);
  return error instanceof SkytoolsError;
}

import type pg from 'pg';
import type { Config } from '../platform/config.ts';
import type { Deadline } from '../platform/deadline.ts';
import { resolveSecret } from '../platform/secrets.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { parseTarget } from '../postgres/target.ts';

/** What work on nodes needs. */
export interface NodeScope {
  config: Config;
  deadline: Deadline;
  database<T>(name: string, body: (client: pg.Client) => Promise<T>): Promise<T>;
}

/**
 * Runs `body` with a connection to a node's location: the name of a configured database, a libpq connect string, or a
 * reference to one.
 *
 * @throws UsageError CONFIG_UNKNOWN_DATABASE for a name that is not configured
 */
export async function atLocation<T>(
  scope: NodeScope,
  location: string,
  body: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const isConnectString = /[=:]/.test(location);
  if (Object.hasOwn(scope.config.databases, location) || !isConnectString)
    return scope.database(location, body);
  const client = await connect(parseTarget(await resolveSecret(location)));
  try {
    return await body(client);
  } finally {
    await disconnect(client);
  }
}

import type pg from 'pg';
import type { NodeScope } from '../../../lib/londiste/place.ts';

/** The scope of a process that dies when it is about to send its statement number `at`, of whatever connection. */
export function dying(set: { scope: NodeScope }, at: number): { scope: NodeScope; sent: () => number } {
  let count = 0;
  const cut = (client: pg.Client) =>
    (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  const open = new Set<pg.Client>();
  const scope: NodeScope = {
    ...set.scope,
    database: (name, body) =>
      set.scope.database(name, async (client) => {
        open.add(client);
        const query = client.query.bind(client);
        client.query = ((...parameters: Parameters<typeof query>) => {
          if (++count >= at) for (const other of open) cut(other);
          return query(...parameters);
        }) as typeof client.query;
        return body(client);
      }),
  };
  return { scope, sent: () => count };
}

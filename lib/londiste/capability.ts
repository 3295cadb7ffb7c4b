import type { JobMessage } from '../jobs/messages.ts';
import type { Capability } from '../jobs/tick-round.ts';

/** Steps of copies side by side in a database. */
const COPIES = 4;

interface Due {
  queue: string;
  at: string | null;
  via: string | null;
  table: string | null;
  job: bigint | null;
}

/** What replication contributes to the tick of a database. Small: the tick's bundle is. */
export const londisteCapability: Capability = {
  async dueWork(client, config, database) {
    const known = (name: string | null) => name !== null && name in config.databases;
    const installed = await client.query(
      `select where has_function_privilege(to_regprocedure('londiste.due_work(int)'),'execute') and to_regclass('pgq.tick') is not null`,
    );
    const { rows } = installed.rowCount
      ? await client.query<Due>('select queue,at,via,table_name as table,job from londiste.due_work($1)', [
          config.databases[database]?.copies ?? COPIES,
        ])
      : { rows: [] };
    const jobs = rows.flatMap(({ queue, at, via, table, job }): JobMessage[] => {
      if (job) return [{ v: 1, kind: 'copy', database, job: `${job}` }];
      if (table) return [{ v: 1, kind: 'copy', database, queue, table }];
      // A node whose provider is ticked as well hears of its batches from there.
      if (via === null && at !== null)
        return known(at) ? [{ v: 1, kind: 'replay', database: at, queue }] : [];
      return known(at) && known(via) ? [] : [{ v: 1, kind: 'replay', database, queue }];
    });
    return { jobs, idleSeconds: undefined };
  },
};

import type { Config } from '../platform/config.ts';
import type { Client } from '../postgres/connect.ts';
import type { JobMessage } from './messages.ts';

/** What a database asks for right now, from one capability's tables. */
export interface DueWork {
  jobs: JobMessage[];
  /**
   * Seconds since anything happened in the tables of this capability, or undefined where it has no opinion (it is not
   * installed, or has nothing in this database).
   */
  idleSeconds: number | undefined;
}

/** Each capability (queue, replication, WAL) answers for its own tables; called inside a transaction. */
export type DueWorkProvider = (client: Client, config: Config, database: string) => Promise<DueWork>;

/** Asks every capability and puts the answers together: all jobs, and the idle time of the busiest. */
export async function collectDueWork(
  client: Client,
  config: Config,
  database: string,
  providers: readonly DueWorkProvider[],
): Promise<DueWork> {
  const jobs: JobMessage[] = [];
  let idleSeconds: number | undefined;
  for (const provider of providers) {
    const due = await provider(client, config, database);
    jobs.push(...due.jobs);
    if (due.idleSeconds !== undefined)
      idleSeconds = Math.min(idleSeconds ?? due.idleSeconds, due.idleSeconds);
  }
  return { jobs, idleSeconds };
}

import type { Config } from '../platform/config.ts';
import { databaseConfig } from '../platform/config.ts';
import type { Deadline } from '../platform/deadline.ts';
import { logger, MetricUnit, metrics } from '../platform/logger.ts';
import type { Client } from '../postgres/connect.ts';
import { transaction } from '../postgres/transaction.ts';
import { collectDueWork, type DueWorkProvider } from './due-work.ts';
import type { IdleHints } from './idle-hints.ts';
import type { JobOf } from './messages.ts';
import type { Wakeup } from './sender.ts';
import { leaveAloneSeconds, spreadTicks } from './tick-plan.ts';
import type { JobScope } from './worker.ts';

/** What a capability (queue, replication, WAL) contributes to the tick of a database. */
export interface Capability {
  /** Work done at every tick, before anybody is woken; quiet where the capability is not installed. */
  tick?(client: Client, deadline: Deadline): Promise<void>;
  dueWork: DueWorkProvider;
  /** Figures for the alarms, in seconds, asked for once a minute. */
  measure?(client: Client, config: Config): Promise<Readonly<Record<string, number>>>;
}

/**
 * One tick of a database: ticks its queues, asks its tables for everything that is due, and plans the ticks of the rest of
 * the minute if this one came from the sweep.
 */
export async function tickRound(
  job: JobOf<'tick'>,
  scope: JobScope,
  capabilities: readonly Capability[],
  hints: IdleHints | undefined,
): Promise<readonly Wakeup[]> {
  const { config, deadline } = scope;
  const policy = databaseConfig(config, job.database).tick;
  const due = await scope.database(job.database, async (client) => {
    for (const { tick } of capabilities) await tick?.(client, deadline);
    const providers = capabilities.map(({ dueWork }) => dueWork);
    return transaction(
      client,
      async () => {
        if (job.spread) await report(client, config, job.database, capabilities);
        return collectDueWork(client, config, job.database, providers);
      },
      { deadline, subject: { database: job.database } },
    );
  });
  logger.info('ticked', { database: job.database, due: due.jobs.length, idleSeconds: due.idleSeconds });
  const wakeups: Wakeup[] = due.jobs.map((next) => ({ job: next }));
  if (!job.spread) return wakeups;
  await hints?.note(job.database, Date.now() + leaveAloneSeconds(policy, due) * 1000);
  return [...wakeups, ...spreadTicks(job.database, policy, due)];
}

async function report(
  client: Client,
  config: Config,
  database: string,
  capabilities: readonly Capability[],
): Promise<void> {
  for (const { measure } of capabilities) {
    const figures = (await measure?.(client, config)) ?? {};
    for (const [name, seconds] of Object.entries(figures))
      metrics.addMetric(name, MetricUnit.Seconds, seconds);
    if (Object.keys(figures).length > 0) logger.info('measured', { database, ...figures });
  }
}

import type { Capability } from '../jobs/tick-round.ts';
import { SkytoolsError } from '../platform/errors.ts';
import { queueDueWork } from './due-work.ts';
import { queueStatus } from './status.ts';
import { tick } from './ticker.ts';

/** True where the database simply has no queues: a target, or one that is not installed yet. */
const notInstalled = (error: unknown) => error instanceof SkytoolsError && error.code === 'PGQ_NOT_INSTALLED';

/** What the queue contributes to the tick of a database. */
export const queueCapability: Capability = {
  async tick(client, deadline) {
    try {
      await tick(client, deadline);
    } catch (error) {
      if (!notInstalled(error)) throw error;
    }
  },

  dueWork: queueDueWork,

  async measure(client) {
    const { rows } = await client.query<{ installed: boolean }>(
      `select to_regclass('pgq.queue') is not null as installed`,
    );
    if (!rows[0]!.installed) return {};
    const queues = await queueStatus(client);
    const ticked = queues.filter((queue) => !queue.tickerPaused && !queue.externalTicker);
    // An idle queue is ticked once in its idle period: only what exceeds it is an age to worry about.
    const tickAge = ticked.map((queue) =>
      Math.max(0, (queue.tickerLagSeconds ?? 0) - queue.tickerIdlePeriodSeconds),
    );
    return {
      TickAgeSeconds: Math.max(0, ...tickAge),
      ConsumerLagSeconds: Math.max(0, ...queues.map((queue) => queue.worstLagSeconds ?? 0)),
      RotationBlockedSeconds: Math.max(
        0,
        ...queues.map((queue) => queue.rotationBlocked?.overdueSeconds ?? 0),
      ),
    };
  },
};

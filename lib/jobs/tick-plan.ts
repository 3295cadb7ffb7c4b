import type { TickPolicy } from '../platform/config.ts';
import type { DueWork } from './due-work.ts';
import type { Wakeup } from './sender.ts';

/** EventBridge's finest schedule, and so the length of a round of ticks, in seconds. */
const ROUND_SECONDS = 60;

/**
 * The delayed ticks for the rest of a round: every `intervalSeconds` after this one. A database where nothing happened for
 * a whole round needs none; the next sweep, or a producer's own wake-up, starts them again.
 */
export function spreadTicks(database: string, policy: TickPolicy, due: DueWork): Wakeup[] {
  const idle = due.jobs.length === 0 && (due.idleSeconds ?? Number.POSITIVE_INFINITY) >= ROUND_SECONDS;
  if (idle) return [];
  const count = Math.ceil(ROUND_SECONDS / policy.intervalSeconds) - 1;
  return Array.from({ length: count }, (_, index) => ({
    job: { v: 1, kind: 'tick', database },
    delaySeconds: Math.round((index + 1) * policy.intervalSeconds),
  }));
}

/**
 * For how many seconds an idle database may be left alone: nothing before `idleAfterSeconds`, then as long as it has been
 * idle beyond that, doubling with time, at most `idleMaximumSeconds`. 0 means: tick it in the next round.
 */
export function leaveAloneSeconds(policy: TickPolicy, due: DueWork): number {
  if (policy.idleMaximumSeconds === 0 || due.jobs.length > 0) return 0;
  const beyond = (due.idleSeconds ?? Number.POSITIVE_INFINITY) - policy.idleAfterSeconds;
  if (beyond < 0) return 0;
  return Math.min(policy.idleMaximumSeconds, Math.max(ROUND_SECONDS, beyond));
}

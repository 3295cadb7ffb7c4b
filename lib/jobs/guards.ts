import type { Chain } from './messages.ts';

/**
 * A unit that calls for its own next run this often without any progress stops; the next tick looks again. Three, because
 * the first two may have met a lock or a failing connection.
 */
export const MAX_STALLED = 3;

/**
 * A chain this long stops even if it makes progress, so that no defect can run for ever; the next tick starts a new one
 * within a minute. A hop of 100 ms makes this about 17 minutes.
 */
export const MAX_HOPS = 10_000;

/** Longest back-off of a failing message, in seconds: the sweep wakes the work each minute anyway. */
const MAX_BACKOFF_SECONDS = 900;

/**
 * The count for the next message of a chain, or undefined where the chain has to stop.
 *
 * @param progressed whether this run advanced a checkpoint
 */
export function nextChain(current: Chain | undefined, progressed: boolean): Chain | undefined {
  const hop = (current?.hop ?? 0) + 1;
  const stalled = progressed ? 0 : (current?.stalled ?? 0) + 1;
  return hop >= MAX_HOPS || stalled >= MAX_STALLED ? undefined : { hop, stalled };
}

/** Seconds until a message that failed for the `receives`-th time is seen again: 1, 2, 4 … with jitter, bounded. */
export function backoffSeconds(receives: number, random: () => number = Math.random): number {
  const longest = Math.min(MAX_BACKOFF_SECONDS, 2 ** Math.min(receives - 1, 10));
  return Math.max(1, Math.round(longest * (0.5 + random() / 2)));
}

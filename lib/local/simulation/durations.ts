/**
 * A network's round trip between function and database, in seconds: what the measured durations, whose database is on the
 * same machine, do not have.
 */
export const ROUND_TRIP = 0.001;

/**
 * How long warm invocations take, in seconds: medians of `node test/bench/durations.bench.ts`, rounded up (figures and machine
 * in test/bench/README.md; the machine was busy, so they err on the dear side).
 */
export const DURATIONS = {
  /** For each thousand databases: it only sends. */
  sweepPerThousandDatabases: 0.6,
  tick: 0.06,
  tickPerQueue: 0.0003,
  tickRoundTrips: 8,
  consume: 0.03,
  consumePerEvent: 0.000_006,
  consumeRoundTrips: 8,
  /** A wake-up's way through SQS to a warm function. */
  delivery: 0.02,
} as const;

/** What one invocation of `copy` is reckoned to move in a second, in bytes. An assumption, not measured: disks differ more. */
export const COPY_BYTES_PER_SECOND = 40e6;

import { DeadlineError } from './errors.ts';

/** The part of the Lambda context a deadline is made from. */
export interface RemainingTime {
  getRemainingTimeInMillis(): number;
}

/**
 * Time kept back at the end of an invocation, in milliseconds: enough to roll back, release a lease and
 * send the next message over a slow connection (a TLS handshake plus two round trips across regions).
 */
const DEFAULT_RESERVE_MS = 2_000;

/** When an invocation has to be at a checkpoint. Uses the monotonic clock, so a stepped wall clock does not matter. */
export class Deadline {
  #endsAt: number;

  private constructor(endsAt: number) {
    this.#endsAt = endsAt;
  }

  /** The deadline of a Lambda invocation, `reserveMs` before the platform would kill it. */
  static fromContext(context: RemainingTime, reserveMs: number = DEFAULT_RESERVE_MS): Deadline {
    return new Deadline(performance.now() + context.getRemainingTimeInMillis() - reserveMs);
  }

  /** A deadline `ms` milliseconds from now. */
  static after(ms: number): Deadline {
    return new Deadline(performance.now() + ms);
  }

  /** For commands that may take as long as they need. */
  static never(): Deadline {
    return new Deadline(Number.POSITIVE_INFINITY);
  }

  /** For commands that go on until they are interrupted. */
  static whenAborted(signal: AbortSignal): Deadline {
    const deadline = new Deadline(Number.POSITIVE_INFINITY);
    signal.addEventListener('abort', () => {
      deadline.#endsAt = performance.now();
    });
    return deadline;
  }

  /** Milliseconds left; zero or negative once the deadline has passed. */
  remainingMs(): number {
    return this.#endsAt - performance.now();
  }

  /** True if work expected to take `ms` still fits. */
  allows(ms: number): boolean {
    return this.remainingMs() > ms;
  }

  /** @throws DeadlineError when less than `ms` milliseconds are left for `what`. */
  check(what: string, ms = 0): void {
    if (!this.allows(ms)) throw new DeadlineError(what);
  }

  /** A value for `statement_timeout` in milliseconds: positive, at most `maximumMs`. */
  statementTimeoutMs(maximumMs: number): number {
    return Math.max(1, Math.floor(Math.min(this.remainingMs(), maximumMs)));
  }
}

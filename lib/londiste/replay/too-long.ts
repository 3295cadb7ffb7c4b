import type { Deadline } from '../../platform/deadline.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import type { SourceBatch } from '../source-batch.ts';

/** A database may be slow for a while; a batch that failed as often as this needs more time than it gets. */
const ATTEMPTS = 3;
/** An invocation with so much more time than the last one is worth an attempt. */
const LONGER = 1.5;

const message = (tick: bigint, seconds: number, attempt: number) =>
  `the batch that ends at tick ${tick} did not fit into ${seconds} seconds, attempt ${attempt} of ${ATTEMPTS}`;

const MESSAGE = /ends at tick (\d+) did not fit into (\d+) seconds, attempt (\d+) of/;

/**
 * Attempts at batches that cannot be cut: a branch hands on whole batches. The node's error, which the next applied batch
 * clears, is where they are counted.
 */
export class WholeBatch {
  readonly #queue: string;
  readonly #tick: bigint;
  readonly #seconds: number;
  readonly #earlier: { seconds: number; attempts: number };

  /** @param error of the node, as its last invocation has left it */
  constructor(queue: string, batch: SourceBatch, error: string | null, deadline: Deadline) {
    this.#queue = queue;
    this.#tick = batch.cur_tick_id;
    this.#seconds = Math.round(deadline.remainingMs() / 1000);
    const [, tick, seconds, attempts] = MESSAGE.exec(error ?? '') ?? [];
    this.#earlier =
      tick === String(this.#tick)
        ? { seconds: Number(seconds), attempts: Number(attempts) }
        : { seconds: 0, attempts: 0 };
  }

  /** @throws SkytoolsError LONDISTE_BATCH_TOO_LONG where it has failed often enough, and this invocation has no more time */
  check(): void {
    const { seconds, attempts } = this.#earlier;
    if (attempts >= ATTEMPTS && this.#seconds < seconds * LONGER) throw this.#error(seconds, attempts);
  }

  /** This attempt came to the deadline. */
  failed(cause: unknown): SkytoolsError {
    return this.#error(this.#seconds, this.#earlier.attempts + 1, cause);
  }

  #error(seconds: number, attempt: number, cause?: unknown): SkytoolsError {
    return new SkytoolsError('LONDISTE_BATCH_TOO_LONG', message(this.#tick, seconds, attempt), {
      subject: { queue: this.#queue },
      cause,
      hint: `run \`skytools londiste replay ${this.#queue}\` where no time limit ends it, then keep the root's ticks small (ticker_max_count)`,
    });
  }
}

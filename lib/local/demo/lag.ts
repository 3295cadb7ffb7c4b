import type { CommittedTransaction } from './changes.ts';

/** Lags kept for the percentiles: the last ones. */
const KEPT = 20_000;

/** Whether a transaction is committed and visible in a snapshot (`txid_snapshot` in text form). */
export function isVisible(txid: bigint, snapshot: string): boolean {
  const [xmin = '', xmax = '', running = ''] = snapshot.split(':');
  if (txid < BigInt(xmin)) return true;
  return txid < BigInt(xmax) && !running.split(',').includes(String(txid));
}

/** How long it takes from a commit in the source until the batch with it is done in the target. */
export class LagTracker {
  #waiting: CommittedTransaction[] = [];
  readonly #lags: number[] = [];
  #next = 0;

  committed(transaction: CommittedTransaction): void {
    this.#waiting.push(transaction);
  }

  /**
   * A consumer has finished all up to a tick.
   *
   * @param snapshot the tick's
   * @param at milliseconds since 1970
   */
  reached(snapshot: string, at: number): void {
    this.#waiting = this.#waiting.filter((transaction) => {
      if (!isVisible(transaction.txid, snapshot)) return true;
      this.#lags[this.#next++ % KEPT] = Math.max(0, at - transaction.at);
      return false;
    });
  }

  /** The lag in milliseconds that so large a share of the transactions did not exceed. */
  percentile(share: number): number | undefined {
    const sorted = this.#lags.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  }
}

import { type Random, seededRandom } from '../emulator/faults.ts';

/** What the runner does to functions and messages at random; probabilities from 0 to 1, all 0 by default. */
export interface ChaosOptions {
  /** Makes the choices repeatable. */
  readonly seed: number;
  /** An invocation's process is killed at some moment of it. */
  readonly kill?: number;
  /** A received message is thrown away, unseen. */
  readonly drop?: number;
  /** A batch is handed to the function twice, at the same time or shortly after. */
  readonly duplicate?: number;
  /** A received message reaches the function later, so that others overtake it. */
  readonly delay?: { readonly probability: number; readonly maximumMs: number };
  /** A schedule does not fire. */
  readonly scheduleMiss?: number;
  /** A schedule fires twice. */
  readonly scheduleRepeat?: number;
}

export type ChaosEvent =
  | 'killed'
  | 'dropped'
  | 'duplicated'
  | 'delayed'
  | 'scheduleMissed'
  | 'scheduleRepeated';

/** The second copy of a batch starts within this time, before or after the end of the first. */
const DUPLICATE_SPREAD_MS = 500;

/** Makes the choices, and counts what was done. Without options it never strikes. */
export class Chaos {
  private readonly options: ChaosOptions | undefined;
  private readonly random: Random;
  private readonly tally: Record<ChaosEvent, number> = {
    killed: 0,
    dropped: 0,
    duplicated: 0,
    delayed: 0,
    scheduleMissed: 0,
    scheduleRepeated: 0,
  };

  constructor(options?: ChaosOptions) {
    this.options = options;
    this.random = seededRandom(options?.seed ?? 0);
  }

  counts(): Readonly<Record<ChaosEvent, number>> {
    return { ...this.tally };
  }

  count(event: ChaosEvent): void {
    this.tally[event] += 1;
  }

  /** After how many milliseconds to kill an invocation that is expected to last so long, if at all. */
  killAfter(expectedMs: number): number | undefined {
    // A little beyond the expected end, so that the moment of the answer is hit too.
    return this.strikes(this.options?.kill) ? this.random() * expectedMs * 1.2 : undefined;
  }

  drop(): boolean {
    return this.strike('dropped', this.options?.drop);
  }

  /** After how many milliseconds a batch is handed over a second time, if at all. */
  duplicateAfter(): number | undefined {
    if (!this.strike('duplicated', this.options?.duplicate)) return undefined;
    return this.random() < 0.5 ? 0 : this.random() * DUPLICATE_SPREAD_MS;
  }

  /** For how many milliseconds a message is held back; 0 mostly. */
  delay(): number {
    const { delay } = this.options ?? {};
    return this.strike('delayed', delay?.probability) ? this.random() * (delay?.maximumMs ?? 0) : 0;
  }

  /** How often a schedule fires that should fire once. */
  firings(): 0 | 1 | 2 {
    if (this.strike('scheduleMissed', this.options?.scheduleMiss)) return 0;
    return this.strike('scheduleRepeated', this.options?.scheduleRepeat) ? 2 : 1;
  }

  private strike(event: ChaosEvent, probability: number | undefined): boolean {
    const struck = this.strikes(probability);
    if (struck) this.count(event);
    return struck;
  }

  private strikes(probability = 0): boolean {
    return probability > 0 && this.random() < probability;
  }
}

import type pg from 'pg';
import type { FaultRule, Random } from '../emulator/faults.ts';
import type { QueueChaos } from '../emulator/sqs/queue.ts';
import type { ChaosOptions } from '../runner/chaos.ts';
import { type Clock, systemClock } from '../runner/clock.ts';

/** What `--chaos` does to handlers and to the messages handed to them: about every fifth invocation meets something. */
export const runnerChaos = (seed: number): ChaosOptions => ({
  seed,
  kill: 0.08,
  drop: 0.04,
  duplicate: 0.06,
  delay: { probability: 0.05, maximumMs: 3_000 },
  scheduleMiss: 0.2,
  scheduleRepeat: 0.2,
});

/** What it does to messages on their way into a queue. */
export const QUEUE_CHAOS: QueueChaos = {
  lose: 0.04,
  duplicate: 0.05,
  delay: { probability: 0.05, maximumSeconds: 3 },
};

/** What it does to requests to SQS and S3. */
export const FAULT_RULES: readonly FaultRule[] = [
  {
    operation: 'SendMessageBatch',
    fault: { kind: 'status', status: 503, code: 'ServiceUnavailable' },
    probability: 0.03,
  },
  { operation: 'SendMessageBatch', fault: { kind: 'reset', afterSuccess: true }, probability: 0.02 },
  { operation: 'ReceiveMessage', fault: { kind: 'reset', afterSuccess: true }, probability: 0.02 },
  {
    operation: 'DeleteMessageBatch',
    fault: { kind: 'status', status: 500, code: 'InternalError' },
    probability: 0.03,
  },
  { operation: 'ChangeMessageVisibility', fault: { kind: 'reset' }, probability: 0.05 },
  { operation: 'GetObject', fault: { kind: 'status', status: 503, code: 'SlowDown' }, probability: 0.05 },
  {
    operation: 'PutObject',
    fault: { kind: 'status', status: 500, code: 'InternalError' },
    probability: 0.05,
  },
];

/** How much faster the scheduler's time passes under chaos: a run of half a minute sees five sweeps missed, doubled or killed. */
const CHAOS_SPEED = 10;

/** A clock that runs fast from now on. */
export function fastClock(): Clock {
  const start = systemClock.now();
  return {
    now: () => start + (systemClock.now() - start) * CHAOS_SPEED,
    after: (milliseconds, callback) => systemClock.after(milliseconds / CHAOS_SPEED, callback),
  };
}

/**
 * Least and longest time between two connections cut, in milliseconds: on a machine so busy that a batch takes seconds, most
 * batches must still get through between two cuts.
 */
const CUT_EVERY_MS = [1_000, 5_000] as const;

/** Terminates server processes of functions at random: 57P01 in mid-transaction, or a dead connection that looked alive. */
export class ConnectionCutter {
  readonly #client: pg.Client;
  readonly #random: Random;
  #timer: NodeJS.Timeout | undefined;
  #cut = 0;

  /** @param client of a superuser, used by nobody else */
  constructor(client: pg.Client, random: Random) {
    this.#client = client;
    this.#random = random;
  }

  get count(): number {
    return this.#cut;
  }

  start(): void {
    const [least, longest] = CUT_EVERY_MS;
    this.#timer = setTimeout(
      () => void this.#strike().finally(() => this.#timer && this.start()),
      least + this.#random() * (longest - least),
    );
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #strike(): Promise<void> {
    const { rowCount } = await this.#client
      .query(
        `select pg_terminate_backend(pid)
           from (select pid from pg_stat_activity where application_name like 'skytools %'
                  order by md5(pid::text || $1) limit 1) victim`,
        [String(this.#random())],
      )
      .catch(() => ({ rowCount: 0 }));
    this.#cut += rowCount ?? 0;
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { hasSqlState } from '../../postgres/errors.ts';
import type { Random } from '../emulator/faults.ts';
import type { Runner } from '../runner/runner.ts';
import { SET } from './replicated-set.ts';

/** Between two looks, in milliseconds. */
const LOOK_EVERY_MS = 50;
/** The same while one of {@link STATES} has not been hit: a quick machine is through the short ones in some milliseconds. */
const LOOK_SHARPLY_MS = 5;
const STATES = ['waiting', 'in-copy', 'catching-up', 'do-sync'];
/** How long a state is held for a copy to come, in milliseconds: some ticks. */
const HOLD_MS = 5_000;
/** An invocation is killed within so many milliseconds of its start. */
const WITHIN_MS = 150;
/** Once every state that came by has been hit, one look in so many strikes again. */
const AGAIN = 40;

/**
 * Kills the copy function in every state of a table's copy. It holds the table's row in `londiste.table_info`, so that the state
 * cannot be left, waits for an invocation that works on the table, and kills that in its middle.
 */
export class CopyKiller {
  readonly #client: pg.Client;
  readonly #runner: Runner;
  readonly #random: Random;
  readonly #counts = new Map<string, number>();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  /** @param client of the leaf's database, used by nobody else */
  constructor(client: pg.Client, runner: Runner, random: Random) {
    this.#client = client;
    this.#runner = runner;
    this.#random = random;
  }

  /** Kills by state. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  start(onFailure: (error: unknown) => void): void {
    this.#running = this.#work().catch(onFailure);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #work(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const victim = await this.#choose();
      if (victim !== undefined && (await this.#strike(victim.table, victim.state)))
        this.#counts.set(victim.state, (this.#counts.get(victim.state) ?? 0) + 1);
      const sharply = STATES.some((state) => !this.#counts.has(state));
      await sleep(sharply ? LOOK_SHARPLY_MS : LOOK_EVERY_MS);
    }
  }

  /** A table whose state has not been hit yet, now and then any. */
  async #choose(): Promise<{ table: string; state: string } | undefined> {
    const { rows } = await this.#client.query<{ table: string; state: string }>(
      `select table_name as "table", ${STATE} as state from londiste.table_info
        where queue_name = $1 and local and merge_state is distinct from 'ok'`,
      [SET],
    );
    const fresh = rows.find(({ state }) => !this.#counts.has(state));
    return fresh ?? (this.#random() * AGAIN < 1 ? rows[Math.floor(this.#random() * rows.length)] : undefined);
  }

  async #strike(table: string, state: string): Promise<boolean> {
    await this.#client.query('begin');
    try {
      const held = await this.#client.query(
        `select from londiste.table_info where queue_name = $1 and table_name = $2 and ${STATE} = $3
            for no key update nowait`,
        [SET, table, state],
      );
      return held.rowCount !== 0 && (await this.#killOne(table));
    } catch (error) {
      // The state is being left at this moment.
      if (hasSqlState(error, '55P03')) return false;
      throw error;
    } finally {
      await this.#client.query('rollback');
    }
  }

  async #killOne(table: string): Promise<boolean> {
    const end = performance.now() + HOLD_MS;
    while (performance.now() < end && !this.#stop.signal.aborted) {
      const found = this.#runner.running('copy').find(({ event }) => isAbout(event, table));
      await sleep(found ? this.#random() * WITHIN_MS : 5);
      if (found?.kill()) return true;
    }
    return false;
  }
}

/** Whether an event of the copy function asks for a step of this table. */
const isAbout = (event: unknown, table: string): boolean =>
  (event as { Records: { body: string }[] }).Records.some(
    ({ body }) => (JSON.parse(body) as { table?: string }).table === table,
  );

/** The word of a state: ticks cut off, NULL as people read it. */
const STATE = `coalesce(split_part(merge_state, ':', 1), 'waiting')`;

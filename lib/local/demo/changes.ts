import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { connect, disconnect } from '../../postgres/connect.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { type Random, seededRandom } from '../emulator/faults.ts';
import { type Change, TableChanges } from './rows.ts';
import type { DemoTable } from './tables.ts';

/** Producers at work at the same time, so that transactions overlap and commit in another order than they began. */
const PRODUCERS = 4;

/** Row changes of one transaction. */
const MOST_CHANGES = 8;

/** Shares of the transactions: rolled back at the end, with a savepoint, held open so long that ticks pass by. */
const ROLLED_BACK = 0.06;
const WITH_SAVEPOINT = 0.2;
const HELD_OPEN = 0.01;
const HELD_MS = 2_500;

/** Two transactions that update the same rows in another order: one of them is rolled back. */
const DEADLOCK = '40P01';

export interface ChangeCounts {
  /** Statements that were committed. */
  changes: number;
  transactions: number;
  rolledBack: number;
  /** Savepoints rolled back to. */
  savepoints: number;
  deadlocks: number;
}

/** A transaction that has committed with at least one change. */
export interface CommittedTransaction {
  txid: bigint;
  /** Milliseconds since 1970. */
  at: number;
}

/** Inserts, updates and deletes rows of the tables at a given rate until it is stopped. */
export class ChangeGenerator {
  readonly #url: string;
  readonly #rate: number;
  readonly #random: Random;
  readonly #tables: TableChanges[] = [];
  readonly #onCommit: (transaction: CommittedTransaction) => void;
  readonly #stop = new AbortController();
  readonly #counts: ChangeCounts = {
    changes: 0,
    transactions: 0,
    rolledBack: 0,
    savepoints: 0,
    deadlocks: 0,
  };
  #running: Promise<unknown> = Promise.resolve();
  #planned = 0;
  #startedAt = 0;

  /** @param rate row changes a second, all producers together */
  constructor(
    url: string,
    options: { rate: number; seed: number; onCommit: (transaction: CommittedTransaction) => void },
  ) {
    this.#url = url;
    this.#rate = options.rate;
    this.#random = seededRandom(options.seed);
    this.#onCommit = options.onCommit;
  }

  counts(): ChangeCounts {
    return { ...this.#counts };
  }

  /** Changes this table, too, from now on. */
  async include(client: pg.ClientBase, table: DemoTable): Promise<void> {
    const changes = new TableChanges(table, this.#random);
    await changes.readKeys(client);
    this.#tables.push(changes);
  }

  /** @param onFailure called where a producer fails in a way that it should not */
  start(onFailure: (error: unknown) => void): void {
    this.#startedAt = performance.now();
    this.#running = Promise.all(
      Array.from({ length: PRODUCERS }, () => this.#produce().catch((error) => onFailure(error))),
    );
  }

  /** Stops; resolves when every transaction has ended. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #produce(): Promise<void> {
    const client = await connect(this.#url, { applicationName: 'demo producer' });
    try {
      while (!this.#stop.signal.aborted) {
        const size = 1 + this.#below(MOST_CHANGES);
        const due = this.#startedAt + (this.#planned * 1000) / this.#rate;
        this.#planned += size;
        await this.#pause(due - performance.now());
        if (!this.#stop.signal.aborted) await this.#transaction(client, size);
      }
    } finally {
      await disconnect(client);
    }
  }

  async #transaction(client: pg.Client, size: number): Promise<void> {
    const rolledBack = this.#random() < ROLLED_BACK;
    const savepoint = this.#random() < WITH_SAVEPOINT ? this.#below(size) : undefined;
    const heldMs = this.#random() < HELD_OPEN ? this.#random() * HELD_MS : 0;
    let pending: Change[] = [];
    try {
      const begun = await client.query('begin; select txid_current() as txid');
      for (let index = 0; index < size; index++) {
        if (index === savepoint) await client.query('savepoint s');
        const change = this.#tables[this.#below(this.#tables.length)]!.next();
        pending.push(change);
        for (const { text, values } of change.statements) await client.query(text, values);
      }
      if (savepoint !== undefined && this.#random() < 0.5) {
        await client.query('rollback to savepoint s');
        for (const change of pending.splice(savepoint)) change.undone?.();
        this.#counts.savepoints++;
      }
      if (heldMs > 0) await this.#pause(heldMs);
      await client.query(rolledBack ? 'rollback' : 'commit');
      if (rolledBack) {
        this.#counts.rolledBack++;
        return;
      }
      const { txid } = (begun as unknown as pg.QueryResult<{ txid: bigint }>[])[1]!.rows[0]!;
      if (pending.length > 0) this.#onCommit({ txid, at: Date.now() });
      this.#counts.transactions++;
      for (const change of pending) {
        this.#counts.changes += change.statements.length;
        change.committed?.();
      }
      pending = [];
    } catch (error) {
      await client.query('rollback').catch(() => {});
      if (!hasSqlState(error, DEADLOCK)) throw error;
      this.#counts.deadlocks++;
    } finally {
      for (const change of pending) change.undone?.();
    }
  }

  /** Waits, but not longer than until the stop. */
  async #pause(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {});
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

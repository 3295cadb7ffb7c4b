import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Random } from '../../lib/local/emulator/faults.ts';
import type { RecordedTransaction } from './history-checker.ts';

export const WRITER_APPLICATION = 'drill-writer';

/** Keys that rows are written under: few, so that rows are changed and deleted again and again. */
const ITEMS = 300;

/** An answer that does not come within so many milliseconds is given up, with the connection. */
const PATIENCE_MS = 4_000;

type Written = Omit<RecordedTransaction, 'committed'>;

/** Writers that insert events, change captured rows and note each transaction in the table `ledger`, whatever happens. */
export class Writers {
  readonly #url: () => string;
  readonly #random: Random;
  readonly #work: Promise<void>[];
  readonly #written: Written[] = [];
  #running = true;

  constructor(url: () => string, random: Random, count: number) {
    this.#url = url;
    this.#random = random;
    this.#work = Array.from({ length: count }, (_, index) => this.#write(`w${index + 1}`));
  }

  get transactions(): number {
    return this.#written.length;
  }

  /** Ends; what was written is a history as soon as it is known which transactions the ledger holds. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#work);
  }

  history(ledger: ReadonlySet<string>): RecordedTransaction[] {
    return this.#written.map((each) => ({ ...each, committed: ledger.has(each.id) }));
  }

  async #write(name: string): Promise<void> {
    let client: pg.Client | undefined;
    for (let number = 1; this.#running; number++) {
      try {
        client ??= await this.#connect();
        await this.#transaction(client, `${name}-${number}`);
      } catch {
        // Whether it was committed, the ledger will tell.
        (client as unknown as { connection: { stream: { destroy(): void } } })?.connection.stream.destroy();
        client = undefined;
        await sleep(200);
      }
      await sleep(this.#random() * 120);
    }
    await client?.end().catch(() => {});
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#url(),
      application_name: WRITER_APPLICATION,
      query_timeout: PATIENCE_MS,
      connectionTimeoutMillis: PATIENCE_MS,
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  async #transaction(client: pg.Client, id: string): Promise<void> {
    const random = this.#random;
    const events = Array.from({ length: 1 + Math.floor(random() * 5) }, (_, index) => `${id}.${index}`);
    const record: { -readonly [Key in keyof Written]: Written[Key] } = {
      id,
      begunAt: performance.now(),
      acknowledgedAt: undefined,
      events,
    };
    this.#written.push(record);
    await client.query('begin');
    await client.query('insert into ledger values ($1)', [id]);
    for (const event of events) await client.query(`select pgq.insert_event('events', 't', $1)`, [event]);
    for (const table of ['item', 'account']) {
      const key = 1 + Math.floor(random() * ITEMS);
      if (random() < 0.25) await client.query(`delete from ${table} where id = $1`, [key]);
      else
        await client.query(
          `insert into ${table} values ($1, $2) on conflict (id) do update set note = excluded.note`,
          [key, id],
        );
    }
    // Some span ticks, so that their events come in a later batch than their ids suggest.
    if (random() < 0.1) await sleep(random() * 2_500);
    if (random() < 0.1) {
      await client.query('rollback');
      return;
    }
    await client.query('commit');
    record.acknowledgedAt = performance.now();
  }
}

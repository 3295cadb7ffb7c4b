import pg from 'pg';
import type { EventId } from './types.ts';

/** The ten columns of a batch's query, in its order (pgq.get_batch_events). */
export const EVENT_COLUMNS = [
  'ev_id',
  'ev_time',
  'ev_txid',
  'ev_retry',
  'ev_type',
  'ev_data',
  'ev_extra1',
  'ev_extra2',
  'ev_extra3',
  'ev_extra4',
] as const;

/** The text form of those ten columns. */
export type EventRow = readonly [
  id: string,
  time: string,
  txid: string,
  retry: string | null,
  type: string | null,
  data: string | null,
  extra1: string | null,
  extra2: string | null,
  extra3: string | null,
  extra4: string | null,
];

/** timestamptz (oid 1184). */
export const parseTimestamp = pg.types.getTypeParser(1184) as (text: string) => Date;

/** What is to become of events that were not handled: the seconds after which they come back, or why they failed. */
export type RetryRequests = Map<EventId, number | string>;

/** One event of a batch. */
export class PgqEvent {
  readonly id: EventId;
  readonly type: string | null;
  readonly data: string | null;
  readonly extra1: string | null;
  readonly extra2: string | null;
  readonly extra3: string | null;
  readonly extra4: string | null;
  /** When it was inserted, as PostgreSQL writes it: microseconds, which a Date cannot hold. */
  readonly timeText: string;
  readonly #txid: string;
  readonly #retry: string | null;
  readonly #retries: RetryRequests;

  constructor(row: EventRow, retries: RetryRequests) {
    this.id = BigInt(row[0]) as EventId;
    this.timeText = row[1];
    this.#txid = row[2];
    this.#retry = row[3];
    this.type = row[4];
    this.data = row[5];
    this.extra1 = row[6];
    this.extra2 = row[7];
    this.extra3 = row[8];
    this.extra4 = row[9];
    this.#retries = retries;
  }

  /** Start of the transaction that inserted it. */
  get time(): Date {
    return parseTimestamp(this.timeText);
  }

  /** The transaction that inserted it (64 bits, with epoch). */
  get txid(): bigint {
    return BigInt(this.#txid);
  }

  /** How often it came back from the retry queue; 0 at its first delivery. */
  get retryCount(): number {
    return this.#retry === null ? 0 : Number(this.#retry);
  }

  /**
   * Asks for this event again, in a later batch of this consumer. Takes effect with the batch's end, in the same
   * transaction; the event counts as done in this batch.
   *
   * @param seconds time to wait, at least
   */
  retry(seconds: number): void {
    this.#retries.set(this.id, seconds);
  }

  /**
   * Says that this event cannot be handled: the consumer's retry policy sends it again later, or makes it a dead letter;
   * without a policy it is one at once. Takes effect as {@link retry} does.
   *
   * @param reason kept with the dead letter
   */
  fail(reason: string): void {
    this.#retries.set(this.id, reason);
  }

  /** Takes a request for a retry, or a failure, back. */
  done(): void {
    this.#retries.delete(this.id);
  }
}

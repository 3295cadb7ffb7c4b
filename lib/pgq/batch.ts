import type { Deadline } from '../platform/deadline.ts';
import { SkytoolsError } from '../platform/errors.ts';
import { type PgqEvent, parseTimestamp, type RetryRequests } from './event.ts';
import type { TextRows } from './event-query.ts';
import {
  type BatchId,
  batchId,
  type ConsumerName,
  consumerName,
  type EventId,
  type Int8,
  type QueueName,
  queueName,
  type TickId,
  tickId,
} from './types.ts';

/** The row of pgq.open_batch and pgq.hold_batch. */
export interface BatchRow {
  state: 'open' | 'held' | 'idle' | 'busy' | 'gone';
  batch_id: Int8;
  cur_tick_id: Int8;
  prev_tick_id: Int8;
  cur_tick_time: Date;
  prev_tick_time: Date;
  cur_tick_event_seq: Int8;
  prev_tick_event_seq: Int8;
  event_sql: string;
  done_event: Int8 | null;
  /** Events may be so large that a number of them says nothing of what they take. */
  large: boolean;
}

/** A row of text, as {@link queryText} gives it. */
export function readBatchRow({ columns, rows }: TextRows): BatchRow {
  const fields = Object.fromEntries(columns.map((column, index) => [column, rows[0]![index]!]));
  const time = (text: string | null | undefined) => (text ? parseTimestamp(text) : undefined);
  return {
    ...fields,
    cur_tick_time: time(fields.cur_tick_time),
    prev_tick_time: time(fields.prev_tick_time),
    large: fields.large === 't',
  } as unknown as BatchRow;
}

/** The events between two ticks, for one consumer. Its events can be read once, in the order of their ids. */
export class Batch {
  readonly id: BatchId;
  readonly queue: QueueName;
  readonly consumer: ConsumerName;
  /** The tick at which it begins; its events are not in this batch. */
  readonly previousTick: TickId;
  /** The tick at which it ends. */
  readonly tick: TickId;
  readonly previousTickTime: Date;
  readonly tickTime: Date;
  /** How many events were inserted between the ticks, by the queue's sequence: an estimate. */
  readonly estimatedEvents: number;
  /** True where an earlier run has done the events before the first one delivered now. */
  readonly resumed: boolean;
  readonly #open: () => AsyncIterable<PgqEvent[]>;
  readonly #deadline: Deadline;
  readonly #resumable: boolean;
  readonly #record: ((last: EventId) => Promise<void>) | undefined;
  #started = false;
  #delivered = 0;
  #last: EventId | undefined;
  #stopped = false;

  /**
   * @param resumable whether delivery may end before the batch's end when the deadline is near
   * @param record records a position inside the batch, behind which the next block is to begin, where that can be done before
   *   its handler ends
   */
  constructor(
    names: { queue: string; consumer: string },
    row: BatchRow,
    open: () => AsyncIterable<PgqEvent[]>,
    deadline: Deadline,
    resumable: boolean,
    record?: (last: EventId) => Promise<void>,
  ) {
    this.queue = queueName(names.queue);
    this.consumer = consumerName(names.consumer);
    this.id = batchId(row.batch_id);
    this.previousTick = tickId(row.prev_tick_id);
    this.tick = tickId(row.cur_tick_id);
    this.previousTickTime = row.prev_tick_time;
    this.tickTime = row.cur_tick_time;
    this.estimatedEvents = Math.max(
      0,
      Number(BigInt(row.cur_tick_event_seq) - BigInt(row.prev_tick_event_seq)),
    );
    this.resumed = row.done_event !== null;
    this.#open = open;
    this.#deadline = deadline;
    this.#resumable = resumable;
    this.#record = record;
  }

  /** How many events were delivered so far. */
  get delivered(): number {
    return this.#delivered;
  }

  /** True if delivery ended before the batch's end; the rest comes in the next run. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The last event delivered. */
  get lastEvent(): EventId | undefined {
    return this.#last;
  }

  /**
   * The events in blocks of up to 5,000, at most about 4 MB of data each (single larger events excepted). May end before
   * the batch's end when the deadline is near: what was delivered is committed, the rest comes in the next run.
   *
   * @throws SkytoolsError PGQ_BATCH_READ_TWICE
   */
  async *blocks(): AsyncGenerator<PgqEvent[], void, void> {
    this.#begin();
    for await (const block of this.#open()) {
      if (this.#stopsBefore(block[0]!)) return;
      this.#delivered += block.length;
      this.#last = block.at(-1)!.id;
      yield block;
    }
  }

  /**
   * The events one by one; ends as {@link blocks} does.
   *
   * @throws SkytoolsError PGQ_BATCH_READ_TWICE
   */
  async *events(): AsyncGenerator<PgqEvent, void, void> {
    this.#begin();
    for await (const block of this.#open()) {
      for (const event of block) {
        if (this.#stopsBefore(event)) return;
        this.#delivered++;
        this.#last = event.id;
        yield event;
      }
    }
  }

  /** Calls `handle` for each event; the quick form of {@link events}. */
  async deliver(handle: (event: PgqEvent) => unknown): Promise<void> {
    this.#begin();
    for await (const block of this.#open()) {
      for (const event of block) {
        if (this.#stopsBefore(event)) return;
        const pending = handle(event);
        if (pending instanceof Promise) await pending;
        this.#delivered++;
        this.#last = event.id;
      }
    }
  }

  /** Tells that the batch was moved by COPY, past this process, with so many events. */
  movedByCopy(events: number): void {
    this.#begin();
    this.#delivered = events;
  }

  /**
   * Tells that the handler can do no more in this run than up to `event`, the `handled`-th that was delivered to it: the rest
   * of the batch comes in the next run.
   *
   * @param event undefined where it could do nothing
   */
  stopAfter(event: PgqEvent | undefined, handled: number): void {
    this.#delivered = handled;
    this.#last = event?.id;
    this.#stopped = true;
  }

  /**
   * Records that everything up to `event`, the `handled`-th that was delivered, is done: a worker that dies later does not repeat
   * it. The next block begins behind it. For handlers that work outside a transaction; within one the position belongs to its end.
   */
  async recordAfter(event: PgqEvent, handled: number): Promise<void> {
    await this.#record?.(event.id);
    this.#delivered = handled;
    this.#last = event.id;
  }

  #begin(): void {
    if (this.#started) {
      throw new SkytoolsError('PGQ_BATCH_READ_TWICE', 'the events of a batch can be read once', {
        subject: { queue: this.queue, consumer: this.consumer },
        hint: 'keep what you need from the first pass; the events are not held in memory',
      });
    }
    this.#started = true;
  }

  /** A retried event may carry the id of one already delivered: the two are never split between runs. */
  #stopsBefore(event: PgqEvent): boolean {
    if (this.#deadline.allows(0) || this.#last === undefined || event.id === this.#last) return false;
    if (!this.#resumable) this.#deadline.check(`batch ${this.id} of ${this.consumer}`);
    this.#stopped = true;
    return true;
  }
}

export const newRetries = (): RetryRequests => new Map();

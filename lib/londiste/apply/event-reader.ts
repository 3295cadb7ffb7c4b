import type pg from 'pg';
import { readCopy } from '../../postgres/read-copy.ts';

/*
 * The events of a batch leave the provider as binary COPY (PostgreSQL's documentation of COPY, "Binary Format"): a header,
 * then for each event the number of its fields, and each field as a length and its bytes. The event's data comes last, so
 * that data of any length can pass in pieces when everything else of the event is known.
 */

/** Fields in the order of {@link eventQuery}. */
const FIELDS = 9;
const ID = 1;
const TIME = 2;
const TYPE = 3;
const EXTRA1 = 4;
const DATA = FIELDS - 1;
/** Signature, flags and length of the extension. */
const HEADER_BYTES = 19;
/** Data above this is handed on in pieces as it arrives; below it, memory holds it whole. */
const WHOLE_BYTES = 1024 * 1024;

export interface EventQuery {
  /** Query of the batch (pgq.batch_event_sql). */
  batchSql: string;
  /** SQL that is true for events not to be applied. */
  hidden: string;
  /** Conditions of the events that are wanted. */
  wanted: readonly string[];
  /** In the order of their ids; else as they lie in the tables, and that at once. */
  ordered: boolean;
  limit: number | undefined;
}

/** Every batch's query ends with it: callers of the original cut it off, too. */
const BATCH_ORDER = / order by 1$/;

/** Selects the events of a batch as {@link readEvents} expects them. */
export function eventQuery({ batchSql, hidden, wanted, ordered, limit }: EventQuery): string {
  const where = wanted.length > 0 ? ` where ${wanted.join(' and ')}` : '';
  return `copy (select ${hidden}, ev_id, ev_time, ev_type, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_data
           from (${batchSql.replace(BATCH_ORDER, '')}) e${where}${ordered ? ' order by ev_id' : ''}${limit === undefined ? '' : ` limit ${limit}`})
     to stdout (format binary)`;
}

/** Type and extra1 of events: one object for all that share them. */
export interface EventName {
  readonly type: string;
  readonly extra1: string | null;
}

/** An event up to its data. It changes with the next event. */
export class EventHead {
  hidden = false;
  /** Exact up to 2^53, which no sequence of events comes near. */
  id = 0;
  name: EventName = { type: '', extra1: null };
  /** Where the event stands, */
  chunk: Buffer = EMPTY;
  /** and where in it each field begins with its length. */
  readonly at = new Int32Array(FIELDS);
  /** Bytes of the data; -1: NULL. */
  dataBytes = -1;

  /** ev_time as ISO 8601 in UTC: the binary form is microseconds since 2000. */
  get time(): string {
    const microseconds = this.chunk.readBigInt64BE(this.at[TIME]! + 4);
    const milliseconds = new Date(Number(microseconds / 1000n) + Date.UTC(2000, 0, 1)).toISOString();
    return `${milliseconds.slice(0, -1)}${String(microseconds % 1000n).padStart(3, '0')}Z`;
  }

  /** A text field. */
  text(field: number): string | null {
    const at = this.at[field]!;
    const length = this.chunk.readInt32BE(at);
    return length < 0 ? null : this.chunk.toString('utf8', at + 4, at + 4 + length);
  }

  /** Where the event begins with its id, or the field behind it. */
  begin(withId: boolean): number {
    return this.at[withId ? ID : TIME]!;
  }

  /** Where its data begins, behind the length. */
  get dataStart(): number {
    return this.at[DATA]! + 4;
  }
}

const EMPTY: Buffer = Buffer.alloc(0);

/** Takes the events. A promise returned is awaited before the next call: the stream waits. */
export interface EventSink {
  /** An event whose data stands in `chunk` from `start` to `end`. */
  event(head: EventHead, chunk: Buffer, start: number, end: number): Promise<void> | undefined;
  /** An event of long data, which comes in pieces between these two. */
  begin(head: EventHead): Promise<void> | undefined;
  piece(chunk: Buffer, start: number, end: number): Promise<void> | undefined;
  end(): Promise<void> | undefined;
}

/**
 * Reads the events of a batch to the end, also where the sink fails: then its error is thrown.
 *
 * @returns how many events came, and the last one's id
 */
export async function readEvents(
  client: pg.ClientBase,
  query: string,
  sink: EventSink,
): Promise<{ events: number; last: bigint | undefined }> {
  const reader = new EventReader(sink);
  await readCopy(client, query, (chunk, start, end) => reader.take(chunk, start, end));
  return { events: reader.events, last: reader.events === 0 ? undefined : BigInt(reader.head.id) };
}

class EventReader {
  readonly head = new EventHead();
  events = 0;
  readonly #sink: EventSink;
  readonly #names = new Names();
  #headerRead = false;
  /** An event of which the rest has not come. */
  #held = EMPTY;
  /** Bytes of a long event's data that have not come. */
  #missing = 0;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  take(chunk: Buffer, start: number, end: number): Promise<void> | undefined {
    if (this.#held.length === 0) return this.#read(chunk, start, end);
    const whole = Buffer.concat([this.#held, chunk.subarray(start, end)]);
    this.#held = EMPTY;
    return this.#read(whole, 0, whole.length);
  }

  #read(chunk: Buffer, start: number, end: number): Promise<void> | undefined {
    let at = start;
    while (at < end) {
      let wait: Promise<void> | undefined;
      if (this.#missing > 0) {
        const to = Math.min(at + this.#missing, end);
        this.#missing -= to - at;
        wait = this.#piece(chunk, at, to);
        at = to;
      } else if (!this.#headerRead) {
        if (end - at < HEADER_BYTES) return this.#hold(chunk, at, end);
        this.#headerRead = true;
        at += HEADER_BYTES;
      } else {
        const { head } = this;
        const data = readHead(head, this.#names, chunk, at, end);
        if (data < 0) return this.#hold(chunk, at, end);
        const length = Math.max(0, head.dataBytes);
        if (data + length <= end) {
          wait = this.#sink.event(head, chunk, data, data + length);
          at = data + length;
        } else if (length > WHOLE_BYTES) {
          wait = this.#sink.begin(head);
          this.#missing = length;
          at = data;
        } else return this.#hold(chunk, at, end);
        this.events++;
      }
      const next = at;
      if (wait) return wait.then(() => this.#read(chunk, next, end));
    }
    return undefined;
  }

  #hold(chunk: Buffer, at: number, end: number): undefined {
    this.#held = chunk.subarray(at, end);
  }

  #piece(chunk: Buffer, start: number, end: number): Promise<void> | undefined {
    const wait = this.#sink.piece(chunk, start, end);
    if (this.#missing > 0) return wait;
    return wait ? wait.then(() => this.#sink.end()) : this.#sink.end();
  }
}

/** Reads an event up to its data. @returns where the data begins; -1 where the bytes end before, or the stream does */
function readHead(head: EventHead, names: Names, chunk: Buffer, start: number, end: number): number {
  if (start + 2 > end || chunk.readInt16BE(start) < 0) return -1;
  let at = start + 2;
  for (let field = 0; field < DATA; field++) {
    if (at + 4 > end) return -1;
    head.at[field] = at;
    const length = chunk.readInt32BE(at);
    at += 4 + Math.max(length, 0);
  }
  if (at + 4 > end) return -1;
  head.at[DATA] = at;
  head.chunk = chunk;
  head.hidden = chunk[start + 6] === 1;
  const id = head.at[ID]! + 4;
  head.id = chunk.readInt32BE(id) * 2 ** 32 + chunk.readUInt32BE(id + 4);
  head.dataBytes = chunk.readInt32BE(at);
  head.name = names.of(head);
  return at + 4;
}

/** Finds names by their bytes: a batch has few of them, and making strings of each event's would cost more than its row. */
class Names {
  readonly #known = new Map<number, { bytes: Buffer; name: EventName }>();

  of(head: EventHead): EventName {
    const { chunk, at } = head;
    const start = at[TYPE]!;
    const end = at[EXTRA1 + 1]!;
    let hash = 0;
    for (let index = start; index < end; index++) hash = (Math.imul(hash, 31) + chunk[index]!) | 0;
    const known = this.#known.get(hash);
    if (known !== undefined && sameBytes(known.bytes, chunk, start, end)) return known.name;
    const name = { type: head.text(TYPE) ?? '', extra1: head.text(EXTRA1) };
    if (this.#known.size >= MOST_NAMES) this.#known.clear();
    this.#known.set(hash, { bytes: Buffer.from(chunk.subarray(start, end)), name });
    return name;
  }
}

const MOST_NAMES = 10_000;

function sameBytes(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let index = start; index < end; index++) if (known[index - start] !== bytes[index]) return false;
  return true;
}

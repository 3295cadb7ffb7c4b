import type { Readable } from 'node:stream';

/*
 * The events of a batch leave the provider as binary COPY (PostgreSQL's documentation of COPY, "Binary Format"): a header,
 * then for each event the number of its fields, and each field as a length and its bytes. The event's data comes last, so
 * that data of any length can pass in pieces when everything else of the event is known.
 */

/** Fields in the order of {@link eventQuery}. */
const FIELDS = 9;
const TIME = 2;
const TYPE = 3;
const EXTRA1 = 4;
const DATA = FIELDS - 1;
/** Signature, flags and length of the extension. */
const HEADER_BYTES = 19;
/** Data above this is handed on in pieces as it arrives; below it, memory holds it whole. */
const WHOLE_BYTES = 1024 * 1024;

/** Selects the events of a batch as the reader expects them. `hidden`: SQL that is true for events not to be applied. */
export const eventQuery = (batchSql: string, hidden: string, where: string, limit: number | undefined) =>
  `copy (select ${hidden}, ev_id, ev_time, ev_type, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_data
           from (${batchSql}) e${where} order by ev_id${limit === undefined ? '' : ` limit ${limit}`})
     to stdout (format binary)`;

/** Type and extra1 of events: one object for all that share them. */
export interface EventName {
  readonly type: string;
  readonly extra1: string | null;
}

/** An event up to its data. The bytes belong to the reader and change with the next event. */
export class EventHead {
  hidden = false;
  id = 0n;
  name: EventName = { type: '', extra1: null };
  /** Bytes of the tuple from ev_id up to the data's length, and that length: what a queue takes over as it is. */
  bytes: Buffer = EMPTY;
  /** Where in `bytes` each field begins with its length. */
  readonly at = new Int32Array(FIELDS);
  /** Bytes of the data; -1: NULL. */
  dataBytes = -1;

  /** ev_time as ISO 8601 in UTC: the binary form is microseconds since 2000. */
  get time(): string {
    const microseconds = this.bytes.readBigInt64BE(this.at[TIME]! + 4);
    const milliseconds = new Date(Number(microseconds / 1000n) + Date.UTC(2000, 0, 1)).toISOString();
    return `${milliseconds.slice(0, -1)}${String(microseconds % 1000n).padStart(3, '0')}Z`;
  }

  /** A text field. */
  text(field: number): string | null {
    const at = this.at[field]!;
    const length = this.bytes.readInt32BE(at);
    return length < 0 ? null : this.bytes.toString('utf8', at + 4, at + 4 + length);
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
 * Reads the whole stream. Where the sink fails the rest is read without it, because a COPY can only be ended by its end; then
 * the error is thrown.
 *
 * @returns how many events came, and the last one's id
 */
export async function readEvents(
  stream: Readable,
  sink: EventSink,
): Promise<{ events: number; last: bigint | undefined }> {
  const head = new EventHead();
  const names = new Names();
  let held: Buffer = EMPTY;
  let headerRead = false;
  /** Bytes of a long event's data that have not come yet. */
  let missing = 0;
  let events = 0;
  let failure: { error: unknown } | undefined;
  for await (const part of stream as AsyncIterable<Buffer>) {
    if (failure !== undefined) continue;
    try {
      const chunk = held.length > 0 ? Buffer.concat([held, part]) : part;
      let at = 0;
      if (!headerRead) {
        if (chunk.length < HEADER_BYTES) {
          held = chunk;
          continue;
        }
        headerRead = true;
        at = HEADER_BYTES;
      }
      for (;;) {
        if (missing > 0) {
          const take = Math.min(missing, chunk.length - at);
          const wait = sink.piece(chunk, at, at + take);
          if (wait) await wait;
          at += take;
          missing -= take;
          if (missing > 0) break;
          const done = sink.end();
          if (done) await done;
        }
        const data = readHead(head, names, chunk, at);
        if (data < 0) break;
        const length = Math.max(0, head.dataBytes);
        if (data + length <= chunk.length) {
          const wait = sink.event(head, chunk, data, data + length);
          if (wait) await wait;
          at = data + length;
        } else if (length > WHOLE_BYTES) {
          const wait = sink.begin(head);
          if (wait) await wait;
          at = data;
          missing = length;
        } else break;
        events++;
      }
      held = chunk.subarray(at);
    } catch (error) {
      failure = { error };
    }
  }
  if (failure !== undefined) throw failure.error;
  return { events, last: events === 0 ? undefined : head.id };
}

/** Reads an event up to its data. @returns where the data begins; -1 where the chunk ends before, or the stream does */
function readHead(head: EventHead, names: Names, chunk: Buffer, start: number): number {
  if (start + 2 > chunk.length || chunk.readInt16BE(start) < 0) return -1;
  let at = start + 2;
  const first = at + 5;
  for (let field = 0; field < DATA; field++) {
    if (at + 4 > chunk.length) return -1;
    head.at[field] = at - first;
    const length = chunk.readInt32BE(at);
    at += 4 + Math.max(length, 0);
  }
  if (at + 4 > chunk.length) return -1;
  head.at[DATA] = at - first;
  head.hidden = chunk[start + 6] === 1;
  head.bytes = chunk.subarray(first, at + 4);
  head.id = head.bytes.readBigInt64BE(head.at[1]! + 4);
  head.dataBytes = chunk.readInt32BE(at);
  head.name = names.of(head);
  return at + 4;
}

/** Finds names by their bytes: a batch has few of them, and making strings of each event's would cost more than its row. */
class Names {
  readonly #known = new Map<number, { bytes: Buffer; name: EventName }>();

  of(head: EventHead): EventName {
    const { bytes, at } = head;
    const start = at[TYPE]!;
    const end = at[EXTRA1 + 1]!;
    let hash = 0;
    for (let index = start; index < end; index++) hash = (Math.imul(hash, 31) + bytes[index]!) | 0;
    const known = this.#known.get(hash);
    if (known !== undefined && sameBytes(known.bytes, bytes, start, end)) return known.name;
    const name = { type: head.text(TYPE) ?? '', extra1: head.text(EXTRA1) };
    if (this.#known.size >= MOST_NAMES) this.#known.clear();
    this.#known.set(hash, { bytes: Buffer.from(bytes.subarray(start, end)), name });
    return name;
  }
}

const MOST_NAMES = 10_000;

function sameBytes(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let index = start; index < end; index++) if (known[index - start] !== bytes[index]) return false;
  return true;
}

import { CopyBytes } from './copy-bytes.ts';
import type { CopySinks, CopyTarget } from './copy-sinks.ts';
import type { EventHead } from './event-reader.ts';

/** Signature, flags and extension of the binary format of COPY. */
const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const TRAILER = Buffer.from([0xff, 0xff]);

const FIRST_CAPACITY = 1024 * 1024;

/** Passes events on into a queue's table, byte by byte as they came. */
export class Forward {
  readonly #target: CopyTarget;
  readonly #keepIds: boolean;
  readonly #passes: (type: string) => boolean;
  readonly #replaced: ReadonlyMap<string, Buffer>;
  readonly #bytes = new CopyBytes(FIRST_CAPACITY);
  #passing = false;

  /**
   * @param keepIds false where the queue gives the events ids of its own
   * @param replaced data that events get instead of their own, by type
   */
  constructor(
    table: string,
    keepIds: boolean,
    passes: (type: string) => boolean,
    replaced: ReadonlyMap<string, Buffer>,
  ) {
    const columns = 'ev_time, ev_type, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_data';
    this.#target = {
      statement: `copy ${table} (${keepIds ? 'ev_id, ' : ''}${columns}) from stdin (format binary)`,
      header: HEADER,
      trailer: TRAILER,
    };
    this.#keepIds = keepIds;
    this.#passes = passes;
    this.#replaced = replaced;
  }

  begin(head: EventHead): void {
    this.#passing = this.#passes(head.name.type);
    if (!this.#passing) return;
    const bytes = this.#bytes;
    bytes.reserve(2);
    bytes.bytes.writeInt16BE(this.#keepIds ? 8 : 7, bytes.length);
    bytes.length += 2;
    this.#append(head.chunk, head.begin(this.#keepIds), head.dataStart);
    const data = this.#replaced.get(head.name.type);
    if (data === undefined) return;
    // The head ends with the length of the data.
    bytes.bytes.writeInt32BE(data.length, bytes.length - 4);
    this.#append(data, 0, data.length);
    this.#passing = false;
  }

  piece(chunk: Buffer, start: number, end: number): void {
    if (this.#passing) this.#append(chunk, start, end);
  }

  #append(chunk: Buffer, start: number, end: number): void {
    this.#bytes.append(chunk, start, end);
  }

  /** Bytes that wait. */
  get size(): number {
    return this.#bytes.length;
  }

  async send(sinks: CopySinks): Promise<void> {
    if (this.#bytes.length > 0) await sinks.write(this.#target, this.#bytes.take());
  }
}

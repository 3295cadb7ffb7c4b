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
  readonly #bytes = new CopyBytes(FIRST_CAPACITY);
  #passing = false;

  /** @param keepIds false where the queue gives the events ids of its own */
  constructor(table: string, keepIds: boolean, passes: (type: string) => boolean) {
    const columns = 'ev_time, ev_type, ev_extra1, ev_extra2, ev_extra3, ev_extra4, ev_data';
    this.#target = {
      statement: `copy ${table} (${keepIds ? 'ev_id, ' : ''}${columns}) from stdin (format binary)`,
      header: HEADER,
      trailer: TRAILER,
    };
    this.#keepIds = keepIds;
    this.#passes = passes;
  }

  begin(head: EventHead): void {
    this.#passing = this.#passes(head.name.type);
    if (!this.#passing) return;
    const from = this.#keepIds ? 0 : head.at[2]!;
    const bytes = this.#bytes;
    bytes.reserve(2 + head.bytes.length - from);
    bytes.bytes.writeInt16BE(this.#keepIds ? 8 : 7, bytes.length);
    head.bytes.copy(bytes.bytes, bytes.length + 2, from);
    bytes.length += 2 + head.bytes.length - from;
  }

  piece(chunk: Buffer, start: number, end: number): void {
    if (!this.#passing) return;
    this.#bytes.reserve(end - start);
    chunk.copy(this.#bytes.bytes, this.#bytes.length, start, end);
    this.#bytes.length += end - start;
  }

  /** Bytes that wait. */
  get size(): number {
    return this.#bytes.length;
  }

  async send(sinks: CopySinks): Promise<void> {
    if (this.#bytes.length > 0) await sinks.write(this.#target, this.#bytes.take());
  }
}

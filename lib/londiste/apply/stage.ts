import { SkytoolsError } from '../../platform/errors.ts';
import type { OneText, RealTable } from '../tables.ts';
import { CopyBytes } from './copy-bytes.ts';
import type { CopySinks, CopyTarget } from './copy-sinks.ts';
import type { Operation } from './event-type.ts';
import type { KeyIndex } from './key-index.ts';
import type { Layout } from './layout.ts';
import { JsonTranscoder, type Transcoder, UrlencodedTranscoder } from './transcode.ts';

/** What stands behind the columns of a staged row. */
export interface RowEnd {
  id: bigint;
  /** Operation of the key's first event, and of its last, which this row is of. */
  first: Operation;
  last: Operation;
  inserted: boolean;
}

const FIRST_CAPACITY = 64 * 1024;
/** Longest end of a line: an id, two operations, a boolean. */
export const LINE_END = 40;
const TAB = 9;
const NEWLINE = 10;
const ZERO = 48;
const TRUE = 116;
const FALSE = 102;

/**
 * The rows of one layout on their way into a temporary table, one column for each of the table's. Its rows carry the event's
 * id (`seq`), the operation of the first and the last event of the key (`f`, `l`), and whether an insert was among them (`i`).
 */
export class Stage {
  readonly table: RealTable;
  readonly layout: Layout;
  readonly nr: number;
  readonly name: string;
  /** Values as text, to be cast where they are applied: one that its type refuses can be named then. */
  readonly asText: boolean;
  readonly transcoder: Transcoder | undefined;
  readonly keyIndexes: number[];
  /** How the types of the key write their values. */
  readonly keyTexts: (OneText | undefined)[];
  readonly target: CopyTarget;
  readonly bytes = new CopyBytes(FIRST_CAPACITY);
  readonly #keys: KeyIndex;
  /** Where the lines of `bytes` begin, and the slots of their keys; -1: kept whatever comes. */
  #lines: number[] = [];
  #slots: number[] = [];
  /** Events that were sent before a later one of the same key came. */
  superseded: bigint[] = [];
  /** Rows that were sent in this segment, superseded ones among them. */
  sent = 0;
  /** More than one row of a key may have been sent. */
  repeated = false;
  #state: 'none' | 'clean' | 'filled' = 'none';

  constructor(table: RealTable, layout: Layout, nr: number, keys: KeyIndex, asText: boolean) {
    this.table = table;
    this.layout = layout;
    this.nr = nr;
    this.#keys = keys;
    this.asText = asText;
    this.name = `londiste_rows_${nr}`;
    this.target = { statement: `copy pg_temp.${this.name} from stdin` };
    this.transcoder =
      layout.format === 'urlencoded'
        ? new UrlencodedTranscoder(layout.names)
        : layout.format === 'json'
          ? new JsonTranscoder(layout.names)
          : undefined;
    for (const column of layout.columns) if (!table.columns.has(column)) throw columnMissing(table, column);
    this.keyIndexes = layout.key.map((column) => layout.columns.indexOf(column));
    this.keyTexts = layout.key.map((column) => table.columns.get(column)?.oneText);
    if (this.keyIndexes.includes(-1)) {
      throw new SkytoolsError('LONDISTE_KEY_MISSING', `events of ${table.name} lack columns of their key`, {
        subject: { table: table.name },
        hint: 'the trigger at the source leaves out a key column: see its arguments ignore= and pkey=',
      });
    }
  }

  /** Takes in the line from `start` to the end of `bytes`, whose columns are written. @param slot of its key, or -1 */
  add(start: number, slot: number, id: bigint, first: Operation, last: Operation, inserted: boolean): void {
    this.endLine({ id, first, last, inserted });
    this.#lines.push(start);
    this.#slots.push(slot);
  }

  /** Writes what stands behind a row's columns. */
  endLine({ id, first, last, inserted }: RowEnd): void {
    const { bytes } = this;
    bytes.reserve(LINE_END);
    bytes.digits(Number(id));
    const out = bytes.bytes;
    let at = bytes.length;
    out[at++] = TAB;
    out[at++] = ZERO + first;
    out[at++] = TAB;
    out[at++] = ZERO + last;
    out[at++] = TAB;
    out[at++] = inserted ? TRUE : FALSE;
    out[at++] = NEWLINE;
    bytes.length = at;
  }

  /** Bytes that wait, superseded rows among them. */
  get size(): number {
    return this.bytes.length;
  }

  /** Drops rows that later ones of their keys have superseded. @returns bytes that are left */
  compact(): number {
    const { starts, stages } = this.#keys;
    const { bytes, length } = this.bytes;
    const lines = this.#lines;
    const slots = this.#slots;
    let at = 0;
    let kept = 0;
    for (let line = 0; line < lines.length; line++) {
      const start = lines[line]!;
      const slot = slots[line]!;
      if (slot >= 0 && (starts[slot] !== start || stages[slot] !== this.nr)) continue;
      const end = line + 1 < lines.length ? lines[line + 1]! : length;
      if (at !== start) bytes.copyWithin(at, start, end);
      if (slot >= 0) starts[slot] = at;
      lines[kept] = at;
      slots[kept++] = slot;
      at += end - start;
    }
    lines.length = kept;
    slots.length = kept;
    this.bytes.length = at;
    return at;
  }

  /** Sends what waits. */
  async send(sinks: CopySinks, run: (sql: string) => Promise<unknown>): Promise<void> {
    if (this.compact() === 0) return;
    this.sent += this.#lines.length;
    for (const slot of this.#slots) if (slot >= 0) this.#keys.starts[slot] = -1;
    this.#lines = [];
    this.#slots = [];
    await this.sendBytes(sinks, run);
  }

  /** Sends the bytes as they are, also within a row. */
  async sendBytes(sinks: CopySinks, run: (sql: string) => Promise<unknown>): Promise<void> {
    if (this.#state !== 'clean') {
      await sinks.close();
      await run(this.#state === 'none' ? this.#definition() : `truncate pg_temp.${this.name}`);
      this.#state = 'clean';
    }
    await sinks.write(this.target, this.bytes.take());
  }

  /** Its rows are applied: the next ones begin anew. */
  reset(): void {
    if (this.#state === 'clean') this.#state = 'filled';
    this.sent = 0;
    this.superseded = [];
    this.repeated = false;
  }

  #definition(): string {
    const columns = this.layout.columns.map(
      (column, index) => `c${index} ${this.asText ? 'text' : this.table.columns.get(column)!.type}`,
    );
    return `create temp table ${this.name} (${[...columns, 'seq int8', 'f int2', 'l int2', 'i bool'].join(', ')}) on commit drop`;
  }
}

export const columnMissing = (table: RealTable, column: string) =>
  new SkytoolsError(
    'LONDISTE_COLUMN_MISSING',
    `events of ${table.name} have a column ${column} that ${table.dest} lacks here`,
    {
      subject: { table: table.name, column },
      hint: 'add the column here, or leave it out at the source with the trigger argument ignore=',
    },
  );

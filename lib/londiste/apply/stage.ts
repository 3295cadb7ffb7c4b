import { SkytoolsError } from '../../platform/errors.ts';
import { quoteColumns } from '../../postgres/quote.ts';
import type { OneText, RealTable } from '../tables.ts';
import { CopyBytes } from './copy-bytes.ts';
import type { CopySinks, CopyTarget } from './copy-sinks.ts';
import type { Operation } from './event-type.ts';
import type { KeyIndex } from './key-index.ts';
import type { Layout } from './layout.ts';
import { JsonTranscoder, type Transcoder, UrlencodedTranscoder } from './transcode.ts';

/** What stands behind the columns of a staged row. */
interface RowEnd {
  id: number;
  /** Operation of the key's first event, and of its last, which this row is of. */
  first: Operation;
  last: Operation;
  inserted: boolean;
}

/** How many rows there are with each outcome. */
export interface Outcomes {
  deletes: number;
  /** Deletes of rows that were there before the first event. */
  expectedDeletes: number;
  updates: number;
  inserts: number;
}

/** How the rows of a stage travel. */
export interface StageOptions {
  /** Values as text, to be cast where they are applied: one that its type refuses can be named then. */
  asText: boolean;
  /** Rows that are new go to the target itself. */
  direct: boolean;
}

/** Lines of a segment on their way to the server, of all stages one behind the other. */
export class SegmentBytes {
  readonly rows = new CopyBytes(FIRST_CAPACITY);
  /** Of deletes only the key is sent. */
  readonly deletes = new CopyBytes(FIRST_CAPACITY);
  readonly inserts = new CopyBytes(FIRST_CAPACITY);

  get lengths(): Record<'rows' | 'deletes' | 'inserts', number> {
    return { rows: this.rows.length, deletes: this.deletes.length, inserts: this.inserts.length };
  }

  clear(): void {
    for (const bytes of [this.rows, this.deletes, this.inserts]) bytes.length = 0;
  }

  /** Bytes of memory that it holds. */
  get held(): number {
    return this.rows.bytes.length + this.deletes.bytes.length + this.inserts.bytes.length;
  }

  release(): void {
    for (const bytes of [this.rows, this.deletes, this.inserts]) bytes.shrink(FIRST_CAPACITY);
  }
}

const NONE: Readonly<Outcomes> = { deletes: 0, expectedDeletes: 0, updates: 0, inserts: 0 };

const FIRST_CAPACITY = 64 * 1024;
/** Longest end of a line: an id, two operations, a boolean. */
const LINE_END = 40;
const TAB = 9;
const NEWLINE = 10;
const ZERO = 48;
const TRUE = 116;
const FALSE = 102;

/**
 * The rows of one layout: kept while later events of their keys may come, and then on their way into a temporary table, one
 * column for each of the table's. Its rows carry the event's id (`seq`), the operation of the first and the last event of the
 * key (`f`, `l`), and whether an insert was among them (`i`).
 */
export class Stage {
  readonly table: RealTable;
  readonly layout: Layout;
  readonly nr: number;
  readonly name: string;
  readonly asText: boolean;
  readonly transcoder: Transcoder | undefined;
  readonly keyIndexes: number[];
  /** How the types of the key write their values. */
  readonly keyTexts: (OneText | undefined)[];
  readonly bytes = new CopyBytes(FIRST_CAPACITY);
  readonly #rows: CopyTarget;
  readonly #deletes: CopyTarget;
  readonly #inserts: CopyTarget | undefined;
  readonly #isKey: boolean[];
  readonly #keys: KeyIndex;
  /** Where the lines of `bytes` begin, and their slots. */
  readonly #lines: number[] = [];
  readonly #slots: number[] = [];
  /** More than one row of a key may wait. */
  repeated = false;
  #taken: { out: SegmentBytes; from: SegmentBytes['lengths']; to: SegmentBytes['lengths'] } | undefined;
  /** What was taken last is one row for each key, of typed values. */
  net = false;
  /** Of what was taken last, where it is net. */
  outcomes: Outcomes = { ...NONE };
  /** Copies the new rows that were sent last into the target; undefined where they are staged like the others. */
  insertNew: (() => Promise<void>) | undefined;
  #state: 'none' | 'clean' | 'filled' = 'none';

  constructor(
    table: RealTable,
    layout: Layout,
    nr: number,
    keys: KeyIndex,
    { asText, direct }: StageOptions,
  ) {
    this.table = table;
    this.layout = layout;
    this.nr = nr;
    this.#keys = keys;
    this.asText = asText;
    this.name = `londiste_rows_${nr}`;
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
    this.#isKey = layout.columns.map((_, index) => this.keyIndexes.includes(index));
    const key = layout.columns.flatMap((_, index) => (this.#isKey[index] ? [`c${index}`] : []));
    this.#rows = { statement: `copy pg_temp.${this.name} from stdin` };
    this.#deletes = {
      statement: `copy pg_temp.${this.name} (${[...key, 'seq', 'f', 'l', 'i'].join(', ')}) from stdin`,
    };
    const writable = layout.columns.every((column) => table.columns.get(column)!.generated === '');
    if (direct && table.takesCopy && writable)
      this.#inserts = { statement: `copy ${table.quoted} (${quoteColumns(layout.columns)}) from stdin` };
  }

  /** Takes in the line from `start` to the end of `bytes`, whose columns are written. */
  add(start: number, slot: number): void {
    this.#lines.push(start);
    this.#slots.push(slot);
  }

  get empty(): boolean {
    return this.#lines.length === 0;
  }

  /** Bytes that wait, superseded rows among them. */
  get size(): number {
    return this.bytes.length;
  }

  /** Lets go of the memory that many rows have needed. Only where it is empty. */
  release(): void {
    this.bytes.shrink(FIRST_CAPACITY);
  }

  /** Leaves only the columns of the key of the line at the end of `bytes`. @param starts where its columns begin */
  keepKey(starts: Int32Array): void {
    const { bytes } = this.bytes;
    let at = starts[0]!;
    for (let column = 0; column < this.#isKey.length; column++) {
      if (!this.#isKey[column]) continue;
      const [start, end] = [starts[column]!, starts[column + 1]!];
      if (at !== start) bytes.copyWithin(at, start, end);
      at += end - start;
    }
    this.bytes.length = at;
  }

  #superseded(line: number): boolean {
    const slot = this.#slots[line]!;
    return this.#keys.starts[slot] !== this.#lines[line] || this.#keys.stages[slot] !== this.nr;
  }

  #end(line: number): number {
    return line + 1 < this.#lines.length ? this.#lines[line + 1]! : this.bytes.length;
  }

  /** Drops rows that later ones of their keys have superseded. */
  compact(): void {
    let [kept, at] = [0, 0];
    for (let line = 0; line < this.#lines.length; line++)
      if (!this.#superseded(line)) at = this.#keep(line, kept++, at);
    this.#cut(kept, at);
  }

  /** Moves a line to the front: it is line `to` there, and begins at `at`. @returns its end */
  #keep(line: number, to: number, at: number): number {
    const [start, end, slot] = [this.#lines[line]!, this.#end(line), this.#slots[line]!];
    if (at !== start) this.bytes.bytes.copyWithin(at, start, end);
    this.#keys.starts[slot] = at;
    this.#lines[to] = at;
    this.#slots[to] = slot;
    return at + end - start;
  }

  /** Lets go of what stands behind the lines that were kept. */
  #cut(lines: number, bytes: number): void {
    this.#lines.length = lines;
    this.#slots.length = lines;
    this.bytes.length = bytes;
  }

  /** The slots of its keys are others now. */
  renumber(moved: Int32Array): void {
    for (let line = 0; line < this.#slots.length; line++) this.#slots[line] = moved[this.#slots[line]!]!;
  }

  /**
   * Moves its rows to `out`, each with its end; those stay whose last event is later than `upTo`.
   *
   * @returns false where there was none
   */
  take(out: SegmentBytes, upTo: number): boolean {
    const { ids, firsts, lasts, inserts } = this.#keys;
    const { bytes } = this.bytes;
    const direct = this.#inserts !== undefined && !this.repeated;
    const before = out.lengths;
    const outcomes = { ...NONE };
    let [taken, kept, at] = [0, 0, 0];
    for (let line = 0; line < this.#lines.length; line++) {
      if (this.#superseded(line)) continue;
      const slot = this.#slots[line]!;
      if (ids[slot]! > upTo) {
        at = this.#keep(line, kept++, at);
        continue;
      }
      taken++;
      const [start, end] = [this.#lines[line]!, this.#end(line)];
      const [first, last] = [firsts[slot] as Operation, lasts[slot] as Operation];
      count(outcomes, first, last);
      if (direct && first === 0 && last !== 2) {
        out.inserts.append(bytes, start, end);
        out.inserts.bytes[out.inserts.length - 1] = NEWLINE;
      } else {
        const lines = last === 2 && this.keyIndexes.length > 0 ? out.deletes : out.rows;
        lines.append(bytes, start, end);
        endLine(lines, { id: ids[slot]!, first, last, inserted: inserts[slot] === 1 });
      }
    }
    this.net = !(this.asText || this.repeated);
    this.outcomes = outcomes;
    this.#taken = { out, from: before, to: out.lengths };
    this.#cut(kept, at);
    if (kept === 0) this.repeated = false;
    return taken > 0;
  }

  /** Sends what was taken, but for what goes to the target itself. */
  async send(sinks: CopySinks, run: (sql: string) => Promise<unknown>): Promise<void> {
    const { out, from, to } = this.#taken!;
    const staged = [
      [this.#rows, out.rows, from.rows, to.rows],
      [this.#deletes, out.deletes, from.deletes, to.deletes],
    ] as const;
    for (const [target, { bytes }, start, end] of staged)
      if (end > start) await this.#stage(target, bytes.subarray(start, end), sinks, run);
    this.insertNew =
      to.inserts === from.inserts
        ? undefined
        : async () => {
            await sinks.write(this.#inserts!, out.inserts.bytes.subarray(from.inserts, to.inserts));
            await sinks.close();
          };
  }

  /** Sends `bytes` as they are: a row too long to be kept, or a piece of it. */
  async sendBytes(sinks: CopySinks, run: (sql: string) => Promise<unknown>): Promise<void> {
    await this.#stage(this.#rows, this.bytes.take(), sinks, run);
  }

  /** Ends the row that `bytes` end with, the only one of its segment. */
  endOnly(id: number, operation: Operation): void {
    endLine(this.bytes, { id, first: operation, last: operation, inserted: operation === 0 });
    this.net = !this.asText;
    this.outcomes = { ...NONE };
    count(this.outcomes, operation, operation);
    this.insertNew = undefined;
  }

  async #stage(
    target: CopyTarget,
    bytes: Buffer,
    sinks: CopySinks,
    run: (sql: string) => Promise<unknown>,
  ): Promise<void> {
    if (this.#state !== 'clean') {
      await sinks.close();
      await run(this.#state === 'none' ? this.#definition() : `truncate pg_temp.${this.name}`);
      this.#state = 'clean';
    }
    await sinks.write(target, bytes);
  }

  /** Its rows are applied: the next ones begin anew. */
  reset(): void {
    if (this.#state === 'clean') this.#state = 'filled';
  }

  #definition(): string {
    const columns = this.layout.columns.map(
      (column, index) => `c${index} ${this.asText ? 'text' : this.table.columns.get(column)!.type}`,
    );
    return `create temp table ${this.name} (${[...columns, 'seq int8', 'f int2', 'l int2', 'i bool'].join(', ')}) on commit drop`;
  }
}

function count(outcomes: Outcomes, first: Operation, last: Operation): void {
  if (last === 2) {
    outcomes.deletes++;
    if (first !== 0) outcomes.expectedDeletes++;
  } else if (first === 0) outcomes.inserts++;
  else outcomes.updates++;
}

/** Writes what stands behind a row's columns. */
function endLine(lines: CopyBytes, { id, first, last, inserted }: RowEnd): void {
  lines.reserve(LINE_END);
  lines.digits(id);
  const out = lines.bytes;
  let at = lines.length;
  out[at++] = TAB;
  out[at++] = ZERO + first;
  out[at++] = TAB;
  out[at++] = ZERO + last;
  out[at++] = TAB;
  out[at++] = inserted ? TRUE : FALSE;
  out[at++] = NEWLINE;
  lines.length = at;
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

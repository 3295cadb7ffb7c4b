import type pg from 'pg';
import { encodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import type { OneText, RealTable } from '../tables.ts';
import { Arrival, OutOfOrder } from './arrival.ts';
import { CopySinks } from './copy-sinks.ts';
import type { EventHead, EventName, EventSink } from './event-reader.ts';
import { type EventKind, eventKind, type QueueEvent, type RowKind } from './event-type.ts';
import type { Forward } from './forward.ts';
import { KeyIndex } from './key-index.ts';
import { Lane } from './lane.ts';
import { type DecodedRow, decodeRow, type Layout, layoutId, layoutOf } from './layout.ts';
import { SegmentBytes, Stage } from './stage.ts';
import { room } from './transcode.ts';

export interface IntakeOptions {
  target: pg.Client;
  tables: () => ReadonlyMap<string, RealTable>;
  /** Whether events of this name are looked at one by one. */
  isHooked: (table: string) => boolean;
  /** The events come in the order of their ids; else only rows may come. */
  ordered: boolean;
  /** Every event as a row of its own, its values as text. */
  exact: boolean;
  /** Rows that are new may go to their table at once. */
  direct: boolean;
  forward: Forward | undefined;
  /** Applies the rows that are staged. */
  apply: (stages: readonly Stage[]) => Promise<void>;
  /** An event that has to see what came before applied, and to be done before what follows. */
  between: (event: QueueEvent, kind: EventKind) => Promise<void>;
}

/** Bytes of rows from which on a segment is applied, if nothing else is just now. */
const SEGMENT = 4 * 1024 * 1024;
/** Bytes that wait for later events of the same keys, which make them needless, while the last segment is applied. */
const WINDOW = 16 * 1024 * 1024;
/** Keys that are remembered at once, and the length of their texts: then what is there is applied. */
const MOST_KEYS = 500_000;
const MOST_KEY_LENGTH = 32 * 1024 * 1024;
/** Bytes of a row that is passed through from which on they are sent. */
const PIECE = 2 * 1024 * 1024;
/** Bytes of events to be passed on that are sent when nothing else is, and those that are waited for. */
const FORWARD = 1024 * 1024;
const MOST_FORWARD = 8 * 1024 * 1024;

/** A table's part of the intake. */
class TableIntake {
  readonly table: RealTable;
  readonly stages = new Map<string, Stage>();
  readonly keys = new KeyIndex();
  /** Rows whose key is not among them were taken in. */
  untracked = false;

  constructor(table: RealTable) {
    this.table = table;
  }

  holdsOther(stage: Stage): boolean {
    for (const other of this.stages.values()) if (other !== stage && !other.empty) return true;
    return false;
  }

  /** The rows up to this event have left the stages. */
  forget(upTo: number): void {
    const moved = this.keys.forget(upTo);
    for (const stage of this.stages.values()) stage.renumber(moved);
    if (this.keys.size === 0) this.untracked = false;
  }
}

/** Where events of one name go. */
interface Route {
  kind: EventKind;
  /** Each of them is a point at which the batch is split. */
  hooked: boolean;
  /** Undefined where the table is not of this node, or the event of no table. */
  intake: TableIntake | undefined;
  /** What the last event of a row had as its layout. */
  stage: Stage | undefined;
}

/** A long event whose data is coming in: a row goes through to the target as a segment of its own. */
type Passing =
  | {
      how: 'through';
      kind: RowKind;
      stage: Stage;
      id: number;
      rest: Buffer;
      sent: boolean;
    }
  | { how: 'collect'; parts: Buffer[] };

/**
 * Takes in the events of a batch, row for row as bytes. Of the events of a key it keeps the last, as long as nothing stands
 * between them that has to see the others (a TRUNCATE, a script, a row of the same key in another layout) and memory holds
 * them: that ends a segment, which is sent and applied while the next one is read.
 */
export class Intake implements EventSink {
  readonly #options: IntakeOptions;
  readonly #sinks: CopySinks;
  #routes = new Map<EventName, Route>();
  #tables = new Map<string, TableIntake | undefined>();
  #stages: Stage[] = [];
  #keys = 0;
  #keyLength = 0;
  /** Bytes that wait, superseded rows among them. */
  #waiting = 0;
  /** Bytes of rows that the last segment has left, because earlier events may come. */
  #left = 0;
  readonly #arrival = new Arrival();
  /** Events up to this one are applied. */
  #applied = 0;
  readonly #lane = new Lane();
  /** Of the segment that is applied. */
  readonly #out = new SegmentBytes();
  #passing: Passing | undefined;
  #head: EventHead | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#sinks = new CopySinks(options.target);
  }

  event(head: EventHead, chunk: Buffer, start: number, end: number): Promise<void> | undefined {
    const { forward } = this.#options;
    this.#arrival.note(head.id, end - start);
    forward?.begin(head);
    forward?.piece(chunk, start, end);
    if (this.#forwardNow) return this.#sendForward(() => this.#take(head, chunk, start, end));
    return this.#take(head, chunk, start, end);
  }

  get #forwardNow(): boolean {
    const size = this.#options.forward?.size ?? 0;
    return size > FORWARD && (size > MOST_FORWARD || this.#lane.idle);
  }

  async #sendForward(then?: () => Promise<void> | undefined): Promise<void> {
    await this.#lane.begin(() => this.#options.forward!.send(this.#sinks));
    await then?.();
  }

  #take(head: EventHead, chunk: Buffer, start: number, end: number): Promise<void> | undefined {
    if (head.hidden) return undefined;
    const route = this.#routeOf(head.name);
    if (route.hooked) return this.#between(head, route.kind, chunk.toString('utf8', start, end));
    if (route.kind.kind === 'row') {
      return route.intake && this.#row(route, route.intake, route.kind, head, chunk, start, end);
    }
    if (route.kind.kind === 'truncate' && route.intake === undefined) return undefined;
    return this.#between(head, route.kind, chunk.toString('utf8', start, end));
  }

  #routeOf(name: EventName): Route {
    const known = this.#routes.get(name);
    if (known !== undefined) return known;
    const kind = eventKind(name.type);
    const route = {
      kind,
      hooked: kind.kind !== 'system' && name.extra1 !== null && this.#options.isHooked(name.extra1),
      intake: kind.kind === 'system' ? undefined : this.#intakeOf(name.extra1),
      stage: undefined,
    };
    this.#routes.set(name, route);
    return route;
  }

  /** A name without a schema is of `public`. */
  #intakeOf(name: string | null): TableIntake | undefined {
    if (name === null) return undefined;
    if (!this.#tables.has(name)) {
      const full = name.includes('.') ? name : `public.${name}`;
      const table = this.#options.tables().get(full);
      const known = full === name ? undefined : this.#intakeOf(full);
      this.#tables.set(name, known ?? (table && new TableIntake(table)));
    }
    return this.#tables.get(name);
  }

  #row(
    route: Route,
    intake: TableIntake,
    kind: RowKind,
    head: EventHead,
    chunk: Buffer,
    start: number,
    end: number,
  ): Promise<void> | undefined {
    const known = route.stage;
    if (known?.transcoder !== undefined) {
      const { bytes, transcoder, layout } = known;
      const mark = bytes.length;
      bytes.reserve(room(end - start, layout.columns.length));
      transcoder.begin(bytes);
      if (transcoder.write(chunk, start, end) === end && transcoder.finish())
        return this.#add(intake, known, kind, head.id, mark, transcoder.starts);
      bytes.length = mark;
    }
    const data = chunk.toString('utf8', start, end);
    const decoded = readable(head, () => decodeRow(kind, head.name.type, data, intake.table.key));
    const stage = this.#stageOf(intake, kind, data, decoded);
    route.stage = stage;
    const starts = new Int32Array(stage.layout.columns.length + 1);
    const mark = stage.bytes.length;
    starts[0] = mark;
    stage.layout.columns.forEach((column, index) => {
      stage.bytes.column(decoded.row[column]!);
      starts[index + 1] = stage.bytes.length;
    });
    return this.#add(intake, stage, kind, head.id, mark, starts);
  }

  #stageOf(intake: TableIntake, kind: RowKind, data: string, decoded: DecodedRow): Stage {
    const id = layoutId(kind.format, decoded);
    return intake.stages.get(id) ?? this.#newStage(intake, id, layoutOf(kind.format, data, decoded));
  }

  #newStage(intake: TableIntake, id: string, layout: Layout): Stage {
    const { exact: asText, direct } = this.#options;
    const stage = new Stage(intake.table, layout, this.#stages.length, intake.keys, { asText, direct });
    this.#stages.push(stage);
    intake.stages.set(id, stage);
    return stage;
  }

  /** A row's columns are written from `mark` on: what came before of its key is dropped. */
  #add(
    intake: TableIntake,
    stage: Stage,
    kind: RowKind,
    id: number,
    mark: number,
    starts: Int32Array,
  ): Promise<void> | undefined {
    if (id < this.#applied) throw new OutOfOrder();
    const { operation } = kind;
    const { keys } = intake;
    const { keyIndexes } = stage;
    let slot = -1;
    let key: string | number | undefined;
    if (!this.#options.exact && keyIndexes.length > 0) {
      key = keyOf(stage, starts);
      if (key !== undefined) slot = keys.find(key);
      const otherLayout = slot >= 0 ? keys.stages[slot] !== stage.nr : key === undefined || intake.untracked;
      if (otherLayout && intake.holdsOther(stage))
        return this.#addInNextSegment(intake, stage, kind, id, mark);
      if (key === undefined) {
        stage.repeated = true;
        intake.untracked = true;
      }
    }
    if (slot < 0) {
      slot = keys.add(key);
      this.#keys++;
      this.#keyLength += typeof key === 'string' ? key.length : 0;
    }
    if (!keys.note(slot, id, operation)) {
      stage.bytes.length = mark;
      return undefined;
    }
    keys.place(slot, stage.nr, mark);
    if (operation === 2 && keyIndexes.length > 0) stage.keepKey(starts);
    stage.add(mark, slot);
    this.#waiting += stage.bytes.length - mark;
    if (this.#keys > MOST_KEYS || this.#keyLength > MOST_KEY_LENGTH) return this.#endSegment(Infinity);
    return this.#waiting > this.#left + SEGMENT ? this.#relieve() : undefined;
  }

  async #addInNextSegment(
    intake: TableIntake,
    stage: Stage,
    kind: RowKind,
    id: number,
    mark: number,
  ): Promise<void> {
    const { bytes } = stage;
    const line = Buffer.from(bytes.bytes.subarray(mark, bytes.length));
    const starts = columnStarts(line, stage.layout.columns.length);
    bytes.length = mark;
    await this.#endSegment(Infinity);
    bytes.append(line, 0, line.length);
    await this.#add(intake, stage, kind, id, 0, starts);
  }

  /** Ends the segment where the target waits for work, or memory is full of rows that nothing has superseded. */
  #relieve(): Promise<void> | undefined {
    if (this.#lane.idle) return this.#endSegment();
    if (this.#waiting <= WINDOW) return undefined;
    for (const stage of this.#stages) stage.compact();
    this.#waiting = this.#bytesWaiting();
    return this.#waiting > WINDOW / 2 ? this.#endSegment() : undefined;
  }

  readonly #run = (sql: string) => this.#options.target.query(sql);

  #bytesWaiting(): number {
    return this.#stages.reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Has applied what waits, as soon as the last segment is.
   *
   * @param upTo the last event; rows of later ones stay. More than a segment is not held back twice.
   */
  async #endSegment(upTo = this.#left > SEGMENT ? Infinity : this.#arrival.settled): Promise<void> {
    // Its bytes are on their way until then.
    await this.#lane.settle();
    this.#out.clear();
    if (this.#out.held > 2 * WINDOW) this.#out.release();
    const stages = this.#stages.filter((stage) => !stage.empty && stage.take(this.#out, upTo));
    this.#applied = Math.max(this.#applied, Math.min(upTo, this.#arrival.highest));
    this.#keys = 0;
    this.#keyLength = 0;
    for (const intake of new Set(this.#tables.values())) {
      if (intake === undefined) continue;
      intake.forget(upTo);
      this.#keys += intake.keys.size;
      this.#keyLength += intake.keys.textLength;
    }
    this.#waiting = this.#left = this.#bytesWaiting();
    this.#release();
    await this.#lane.begin(() => this.#applySegment(stages));
  }

  /** Many tables must not keep the memory that each has needed at its time. */
  #release(): void {
    const held = this.#stages.reduce((sum, { bytes }) => sum + bytes.bytes.length, 0);
    if (held > 2 * WINDOW) for (const stage of this.#stages) if (stage.empty) stage.release();
  }

  async #applySegment(stages: readonly Stage[]): Promise<void> {
    await this.#options.forward?.send(this.#sinks);
    for (const stage of stages) await stage.send(this.#sinks, this.#run);
    await this.#sinks.close();
    if (stages.length > 0) await this.#options.apply(stages);
    for (const stage of stages) stage.reset();
  }

  /** Everything that came is applied. */
  async finish(): Promise<void> {
    await this.#endSegment(Infinity);
    await this.#lane.settle();
  }

  async #between(head: EventHead, kind: EventKind, data: string): Promise<void> {
    if (!this.#options.ordered) throw new OutOfOrder();
    const event: QueueEvent = {
      id: BigInt(head.id),
      time: head.time,
      type: head.name.type,
      data,
      extra1: head.name.extra1,
      extra2: head.text(5),
      extra3: head.text(6),
      extra4: head.text(7),
    };
    await this.finish();
    await this.#options.between(event, kind);
    // A script may have changed the tables, an event of the set which of them there are.
    if (kind.kind === 'system') {
      this.#tables = new Map();
      this.#routes = new Map();
    }
  }

  begin(head: EventHead): Promise<void> | undefined {
    this.#arrival.note(head.id, head.dataBytes);
    this.#options.forward?.begin(head);
    this.#head = head;
    this.#passing = undefined;
    if (head.hidden) return undefined;
    const route = this.#routeOf(head.name);
    const { kind, intake, hooked } = route;
    if (kind.kind !== 'system' && intake === undefined && !hooked) return undefined;
    if (hooked || kind.kind !== 'row' || kind.format === 'sql') {
      this.#passing = { how: 'collect', parts: [] };
      return undefined;
    }
    return this.#beginThrough(head, route, kind, intake!);
  }

  async #beginThrough(head: EventHead, route: Route, kind: RowKind, intake: TableIntake): Promise<void> {
    if (head.id < this.#arrival.highest) throw new OutOfOrder();
    if (route.stage === undefined) {
      // The columns are those of the table here, most likely; the first piece tells.
      const row = Object.fromEntries([...intake.table.columns.keys()].map((column) => [column, null]));
      route.stage = this.#stageOf(intake, kind, encodeUrlencoded(row), {
        row,
        key: kind.key,
        partial: false,
      });
    }
    const { stage } = route;
    await this.finish();
    stage.transcoder!.begin(stage.bytes);
    this.#passing = { how: 'through', kind, stage, id: head.id, rest: NOTHING, sent: false };
  }

  piece(chunk: Buffer, start: number, end: number): Promise<void> | undefined {
    const { forward } = this.#options;
    forward?.piece(chunk, start, end);
    const passing = this.#passing;
    if (passing?.how === 'collect') passing.parts.push(Buffer.from(chunk.subarray(start, end)));
    if (passing?.how !== 'through') return this.#forwardNow ? this.#sendForward() : undefined;
    const { stage } = passing;
    const source =
      passing.rest.length > 0
        ? Buffer.concat([passing.rest, chunk.subarray(start, end)])
        : chunk.subarray(start, end);
    stage.bytes.reserve(room(source.length, stage.layout.columns.length));
    const used = stage.transcoder!.write(source, 0, source.length);
    if (used < 0) {
      if (passing.sent) throw unreadable(this.#head!);
      stage.bytes.length = 0;
      this.#passing = { how: 'collect', parts: [Buffer.from(source)] };
      return undefined;
    }
    passing.rest = Buffer.from(source.subarray(used));
    // A line cannot be left for another table's: where events are passed on as well, memory holds it.
    if (forward !== undefined) return this.#forwardNow ? this.#sendForward() : undefined;
    if (stage.size < PIECE) return undefined;
    passing.sent = true;
    return stage.sendBytes(this.#sinks, this.#run);
  }

  end(): Promise<void> | undefined {
    const passing = this.#passing;
    const head = this.#head!;
    this.#passing = undefined;
    if (passing === undefined) return undefined;
    if (passing.how === 'collect') {
      const data = Buffer.concat(passing.parts);
      return this.#take(head, data, 0, data.length);
    }
    const { stage, kind, id, rest } = passing;
    if (rest.length > 0 || !stage.transcoder!.finish()) throw unreadable(head);
    stage.endOnly(id, kind.operation);
    return this.#applyOnly(stage);
  }

  async #applyOnly(stage: Stage): Promise<void> {
    await this.#lane.settle();
    await stage.sendBytes(this.#sinks, this.#run);
    await this.#sinks.close();
    await this.#options.apply([stage]);
    stage.reset();
  }

  /** Gives up what is on its way. */
  async abandon(): Promise<void> {
    await this.#lane.settle().catch(() => {});
    this.#sinks.abandon();
  }
}

const NOTHING = Buffer.alloc(0);
const TAB = 9;

/** Where each column of a line begins; tabs within values are escaped. */
function columnStarts(line: Buffer, columns: number): Int32Array {
  const starts = new Int32Array(columns + 1);
  for (let column = 1; column <= columns; column++)
    starts[column] = line.indexOf(TAB, starts[column - 1]!) + 1;
  return starts;
}

/** The key as COPY has it; undefined where two texts may stand for one key, or NULL does not equal itself. */
function keyOf(stage: Stage, starts: Int32Array): string | number | undefined {
  const { keyIndexes, bytes } = stage;
  const only = keyIndexes[0]!;
  if (keyIndexes.length === 1 && stage.keyTexts[0] === 'integer') {
    const number = integerAt(bytes.bytes, starts[only]!, starts[only + 1]! - 1);
    if (number !== undefined) return number;
  }
  let text = '';
  for (let part = 0; part < keyIndexes.length; part++) {
    const index = keyIndexes[part]!;
    const value = bytes.bytes.toString('latin1', starts[index], starts[index + 1]! - 1);
    const texts = stage.keyTexts[part];
    if (value === '\\N' || texts === undefined || !ONE_TEXT[texts].test(value)) return undefined;
    text = part === 0 ? value : `${text}\t${value}`;
  }
  return text;
}

/** What the output functions of types write that have one text for each value. */
const ONE_TEXT: Readonly<Record<OneText, RegExp>> = {
  integer: /^(?:0|-?[1-9][0-9]*)$/,
  uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  text: /^/,
};

/** A natural number of up to 15 digits, as the server writes it; undefined where anything else stands there. */
function integerAt(bytes: Buffer, start: number, end: number): number | undefined {
  if (end - start > 15 || end === start || (bytes[start] === ZERO && end - start > 1)) return undefined;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

const ZERO = 48;

const unreadable = (head: EventHead, cause?: unknown) =>
  new SkytoolsError(
    'LONDISTE_EVENT_UNREADABLE',
    `event ${head.id} of ${head.name.extra1} is not what its type says`,
    {
      cause,
      subject: { table: head.name.extra1 ?? '', event: String(head.id) },
      hint: 'somebody else than a trigger wrote it: refusedEvents: set-aside goes on without it',
    },
  );

function readable<T>(head: EventHead, read: () => T): T {
  try {
    return read();
  } catch {
    // The parser's message may quote the row.
    throw unreadable(head);
  }
}

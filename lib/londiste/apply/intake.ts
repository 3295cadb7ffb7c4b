import type pg from 'pg';
import { encodeUrlencoded } from '../../pgq/codecs/urlencoded.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import type { OneText, RealTable } from '../tables.ts';
import { CopySinks } from './copy-sinks.ts';
import type { EventHead, EventName, EventSink } from './event-reader.ts';
import { type EventKind, eventKind, type Operation, type RowKind } from './event-type.ts';
import type { Forward } from './forward.ts';
import { KeyIndex } from './key-index.ts';
import { type DecodedRow, decodeRow, type Layout, layoutId, layoutOf } from './layout.ts';
import { LINE_END, Stage } from './stage.ts';
import { room } from './transcode.ts';

/** An event that is not about one row. */
export interface SystemEvent {
  id: bigint;
  type: string;
  data: string;
  extra1: string | null;
  extra2: string | null;
  extra3: string | null;
}

export interface IntakeOptions {
  target: pg.Client;
  tables: () => ReadonlyMap<string, RealTable>;
  /** Every event as a row of its own, its values as text. */
  exact: boolean;
  forward: Forward | undefined;
  /** Applies the rows that are staged. */
  apply: (stages: readonly Stage[]) => Promise<void>;
  /** An event that has to see what came before applied, and to be done before what follows. */
  between: (event: SystemEvent, kind: EventKind) => Promise<void>;
}

/** Bytes of a table's rows that wait for later events of the same keys, which make them needless. */
const WINDOW = 2 * 1024 * 1024;
/** Bytes that wait over all tables. */
const ALL_WINDOWS = 16 * 1024 * 1024;
/** Keys that are remembered at once, and the bytes of their text: then what is there is applied. */
const MOST_KEYS = 500_000;
const MOST_KEY_BYTES = 32 * 1024 * 1024;

/** A table's part of the intake. */
class TableIntake {
  readonly table: RealTable;
  readonly stages = new Map<string, Stage>();
  /** The last event of each key. */
  readonly keys = new KeyIndex();
  /** Rows whose key is not among them were taken in. */
  untracked = false;

  constructor(table: RealTable) {
    this.table = table;
  }

  holdsOther(stage: Stage): boolean {
    for (const other of this.stages.values())
      if (other !== stage && (other.sent > 0 || other.size > 0)) return true;
    return false;
  }
}

/** Where events of one name go. */
interface Route {
  kind: EventKind;
  /** Undefined where the table is not of this node, or the event of no table. */
  intake: TableIntake | undefined;
  /** What the last event of a row had as its layout. */
  stage: Stage | undefined;
}

/** A long event whose data is coming in. */
type Passing =
  | {
      how: 'through';
      kind: RowKind;
      intake: TableIntake;
      stage: Stage;
      id: bigint;
      rest: Buffer;
      sent: boolean;
    }
  | { how: 'collect'; parts: Buffer[] };

/**
 * Takes the events of a batch into temporary tables, row for row as bytes. Of the events of a key it keeps the last, as long as
 * nothing stands between them that has to see the others (a TRUNCATE, a script, a row of the same key in another layout):
 * that ends a segment, which is applied first.
 */
export class Intake implements EventSink {
  readonly #options: IntakeOptions;
  readonly #sinks: CopySinks;
  #routes = new Map<EventName, Route>();
  #tables = new Map<string, TableIntake | undefined>();
  #stages: Stage[] = [];
  #keys = 0;
  #keyBytes = 0;
  #sinceCheck = 0;
  #passing: Passing | undefined;
  #head: EventHead | undefined;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#sinks = new CopySinks(options.target);
  }

  event(head: EventHead, chunk: Buffer, start: number, end: number): Promise<void> | undefined {
    const { forward } = this.#options;
    forward?.begin(head);
    forward?.piece(chunk, start, end);
    if (forward?.full) return this.#sendForward(() => this.#take(head, chunk, start, end));
    return this.#take(head, chunk, start, end);
  }

  async #sendForward(then: () => Promise<void> | undefined): Promise<void> {
    await this.#options.forward!.send(this.#sinks);
    await then();
  }

  #take(head: EventHead, chunk: Buffer, start: number, end: number): Promise<void> | undefined {
    if (head.hidden) return undefined;
    const route = this.#routeOf(head.name);
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
      bytes.reserve(room(end - start, layout.columns.length) + LINE_END);
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
    const stage = new Stage(intake.table, layout, this.#stages.length, intake.keys, this.#options.exact);
    this.#stages.push(stage);
    intake.stages.set(id, stage);
    return stage;
  }

  /** A row's columns are written from `mark` on: what came before of its key is dropped. */
  #add(
    intake: TableIntake,
    stage: Stage,
    kind: RowKind,
    id: bigint,
    mark: number,
    starts: Int32Array,
  ): Promise<void> | undefined {
    const { operation } = kind;
    const { keys } = intake;
    if (this.#options.exact || stage.keyIndexes.length === 0) {
      stage.add(mark, -1, id, operation, operation, operation === 0);
      return this.#relieve(stage, stage.bytes.length - mark);
    }
    const key = keyOf(stage, starts);
    let slot = key === undefined ? -1 : keys.find(key);
    const otherLayout = slot >= 0 ? keys.stages[slot] !== stage.nr : key === undefined || intake.untracked;
    if (otherLayout && intake.holdsOther(stage)) return this.#addInNextSegment(intake, stage, kind, id, mark);
    if (key === undefined) {
      stage.repeated = true;
      intake.untracked = true;
      stage.add(mark, -1, id, operation, operation, operation === 0);
      return this.#relieve(stage, stage.bytes.length - mark);
    }
    if (slot < 0) {
      slot = keys.add(key, operation);
      this.#keys++;
      this.#keyBytes += typeof key === 'string' ? key.length : 0;
    } else if (keys.starts[slot]! < 0) stage.superseded.push(keys.ids[slot]!);
    if (operation === 0) keys.inserts[slot] = 1;
    keys.ids[slot] = id;
    keys.stages[slot] = stage.nr;
    keys.starts[slot] = mark;
    stage.add(mark, slot, id, keys.firsts[slot] as Operation, operation, keys.inserts[slot] === 1);
    if (this.#keys > MOST_KEYS || this.#keyBytes > MOST_KEY_BYTES) return this.endSegment();
    return this.#relieve(stage, stage.bytes.length - mark);
  }

  async #addInNextSegment(
    intake: TableIntake,
    stage: Stage,
    kind: RowKind,
    id: bigint,
    mark: number,
  ): Promise<void> {
    const { bytes } = stage;
    const line = Buffer.from(bytes.bytes.subarray(mark, bytes.length));
    const starts = columnStarts(line, stage.layout.columns.length);
    bytes.length = mark;
    await this.endSegment();
    bytes.reserve(line.length + LINE_END);
    line.copy(bytes.bytes, 0);
    bytes.length = line.length;
    await this.#add(intake, stage, kind, id, 0, starts);
  }

  /** Sends a window that is full of rows which nothing has superseded. */
  #relieve(stage: Stage, added: number): Promise<void> | undefined {
    this.#sinceCheck += added;
    if (stage.size > WINDOW && stage.compact() > WINDOW / 2) return stage.send(this.#sinks, this.#run);
    if (this.#sinceCheck > WINDOW) {
      this.#sinceCheck = 0;
      const waiting = this.#stages.reduce((sum, { size }) => sum + size, 0);
      if (waiting > ALL_WINDOWS) return this.#sendAll();
    }
    return undefined;
  }

  readonly #run = (sql: string) => this.#options.target.query(sql);

  async #sendAll(): Promise<void> {
    for (const stage of this.#stages) await stage.send(this.#sinks, this.#run);
  }

  /** Applies what is staged. */
  async endSegment(): Promise<void> {
    await this.#sendAll();
    await this.#options.forward?.send(this.#sinks);
    await this.#sinks.close();
    const filled = this.#stages.filter(({ sent }) => sent > 0);
    if (filled.length > 0) await this.#options.apply(filled);
    for (const stage of filled) stage.reset();
    for (const intake of this.#tables.values()) {
      intake?.keys.clear();
      if (intake) intake.untracked = false;
    }
    this.#keys = 0;
    this.#keyBytes = 0;
  }

  async #between(head: EventHead, kind: EventKind, data: string): Promise<void> {
    const event: SystemEvent = {
      id: head.id,
      type: head.name.type,
      data,
      extra1: head.name.extra1,
      extra2: head.text(5),
      extra3: head.text(6),
    };
    await this.endSegment();
    await this.#options.between(event, kind);
    // A script may have changed the tables, an event of the set which of them there are.
    if (kind.kind === 'system') {
      this.#tables = new Map();
      this.#routes = new Map();
    }
  }

  begin(head: EventHead): Promise<void> | undefined {
    this.#options.forward?.begin(head);
    this.#head = head;
    this.#passing = undefined;
    if (head.hidden) return undefined;
    const route = this.#routeOf(head.name);
    const { kind, intake } = route;
    if (kind.kind !== 'system' && intake === undefined) return undefined;
    if (kind.kind !== 'row' || kind.format === 'sql') {
      this.#passing = { how: 'collect', parts: [] };
      return undefined;
    }
    return this.#beginThrough(head, route, kind, intake!);
  }

  async #beginThrough(head: EventHead, route: Route, kind: RowKind, intake: TableIntake): Promise<void> {
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
    if (intake.holdsOther(stage)) await this.endSegment();
    await stage.send(this.#sinks, this.#run);
    stage.transcoder!.begin(stage.bytes);
    this.#passing = { how: 'through', kind, intake, stage, id: head.id, rest: NOTHING, sent: false };
  }

  piece(chunk: Buffer, start: number, end: number): Promise<void> | undefined {
    const { forward } = this.#options;
    forward?.piece(chunk, start, end);
    const passing = this.#passing;
    if (passing?.how === 'collect') passing.parts.push(Buffer.from(chunk.subarray(start, end)));
    if (passing?.how !== 'through') return forward?.full ? forward.send(this.#sinks) : undefined;
    const { stage } = passing;
    const source =
      passing.rest.length > 0
        ? Buffer.concat([passing.rest, chunk.subarray(start, end)])
        : chunk.subarray(start, end);
    stage.bytes.reserve(room(source.length, stage.layout.columns.length) + LINE_END);
    const used = stage.transcoder!.write(source, 0, source.length);
    if (used < 0) {
      if (passing.sent) throw unreadable(this.#head!);
      stage.bytes.length = 0;
      this.#passing = { how: 'collect', parts: [Buffer.from(source)] };
      return undefined;
    }
    passing.rest = Buffer.from(source.subarray(used));
    // A line cannot be left for another table's: where events are passed on as well, memory holds it.
    if (forward !== undefined) return forward.full ? forward.send(this.#sinks) : undefined;
    if (stage.size < WINDOW) return undefined;
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
    const { stage, intake, kind, rest } = passing;
    if (rest.length > 0 || !stage.transcoder!.finish()) throw unreadable(head);
    stage.endLine({
      id: passing.id,
      first: kind.operation,
      last: kind.operation,
      inserted: kind.operation === 0,
    });
    stage.sent++;
    stage.repeated = true;
    intake.untracked = true;
    return stage.sendBytes(this.#sinks, this.#run);
  }

  /** Gives up what is on its way. */
  abandon(): void {
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

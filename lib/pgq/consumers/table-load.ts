import type { ConsumerOfKind } from '../../platform/config.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import type { Batch } from '../batch.ts';
import type { RowChange } from '../codecs/row-change.ts';
import { setColumn, type TextRow } from '../codecs/urlencoded.ts';
import type { PgqEvent } from '../event.ts';
import { NetChanges, type WriteMode } from './net-changes.ts';
import { Partitions } from './partitions.ts';
import { TargetTables } from './target-tables.ts';

type LoadedTable = ConsumerOfKind<'queue-loader'>['tables'][string];

/** Where rows go and how. */
export type LoadRule = Pick<LoadedTable, 'rowMode' | 'fields' | 'partition'> & { into: string };

/** Changes gathered before they are written: bounds memory, and makes statements large enough to be quick. */
const CHANGES_AT_ONCE = 50_000;

/** What `fields` may name besides the columns of the row: the event and its batch. */
const SURROUNDINGS: Record<string, (event: PgqEvent, batch: Batch) => string | null> = {
  'pgq.ev_id': (event) => String(event.id),
  'pgq.ev_time': (event) => event.timeText,
  'pgq.ev_txid': (event) => String(event.txid),
  'pgq.ev_retry': (event) => String(event.retryCount),
  'pgq.ev_type': (event) => event.type,
  'pgq.ev_data': (event) => event.data,
  'pgq.ev_extra1': (event) => event.extra1,
  'pgq.ev_extra2': (event) => event.extra2,
  'pgq.ev_extra3': (event) => event.extra3,
  'pgq.ev_extra4': (event) => event.extra4,
  'pgq.tick_id': (_event, batch) => String(batch.tick),
  'pgq.batch_time': (_event, batch) => batch.tickTime.toISOString(),
};

interface Pending {
  rule: LoadRule;
  change: RowChange;
  /** Decides on the partition, where there are any. */
  time: string | null | undefined;
}

/** The changes of one batch on their way into tables and partitions, inside the caller's transaction. */
export class TableLoad {
  readonly #client: Client;
  readonly #batch: Batch;
  readonly #tables: TargetTables;
  readonly #partitions = new Map<LoadRule, Partitions>();
  readonly #modes = new Map<string, WriteMode>();
  #pending: Pending[] = [];

  constructor(client: Client, batch: Batch) {
    this.#client = client;
    this.#batch = batch;
    this.#tables = new TargetTables(client);
  }

  /** Takes a change; writes what has been gathered from time to time. */
  async add(rule: LoadRule, change: RowChange, event: PgqEvent): Promise<void> {
    if (rule.rowMode !== 'plain' && (change.operation === 'delete' || change.operation === 'truncate'))
      return;
    if (rule.rowMode === 'keep_all' && !change.whole) throw partial(rule, change);
    const mapped = rule.fields === undefined ? change : mapFields(rule, change, event, this.#batch);
    this.#pending.push({
      rule,
      change: { ...mapped, table: rule.into },
      time: this.#timeOf(rule, mapped.row, event),
    });
    if (this.#pending.length >= CHANGES_AT_ONCE) await this.flush();
  }

  /** Writes everything that was taken. */
  async flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    if (pending.length === 0) return;
    for (const [rule, ofRule] of Map.groupBy(pending, ({ rule }) => rule)) await this.#place(rule, ofRule);
    const modeOf = (table: string) => this.#modes.get(table) ?? 'upsert';
    await new NetChanges(this.#client, this.#tables, modeOf).apply(pending.map(({ change }) => change));
  }

  /** Sends each change to its partition. */
  async #place(rule: LoadRule, pending: readonly Pending[]): Promise<void> {
    const mode = rule.rowMode === 'keep_all' ? 'append' : rule.partition === undefined ? 'upsert' : 'replace';
    this.#modes.set(rule.into, mode);
    if (rule.partition === undefined) return;
    const rows = pending.filter(({ change }) => change.operation !== 'truncate');
    const { partitioned } = await this.#tables.find(rule.into, []);
    // A partitioned parent moves and finds rows by itself; its partitions only have to be there for what is new.
    const throughParent = partitioned && rule.rowMode === 'plain';
    const wanting = throughParent
      ? rows.filter(({ change }) => change.operation !== 'delete' && change.whole)
      : rows;
    const partitions = await this.#partitionsOf(rule, rule.partition);
    const names = await partitions.forTimes(wanting.map(({ time }) => time));
    if (throughParent) return;
    for (const [index, { change }] of wanting.entries()) {
      change.table = names[index]!;
      this.#modes.set(change.table, mode);
    }
  }

  async #partitionsOf(rule: LoadRule, options: NonNullable<LoadRule['partition']>): Promise<Partitions> {
    let partitions = this.#partitions.get(rule);
    if (!partitions) {
      partitions = await Partitions.of(this.#client, this.#tables, rule.into, options);
      this.#partitions.set(rule, partitions);
    }
    return partitions;
  }

  #timeOf({ partition }: LoadRule, row: TextRow, event: PgqEvent): string | null | undefined {
    if (partition?.field !== undefined) return row[partition.field];
    return partition?.time === 'batch' ? this.#batch.tickTime.toISOString() : event.timeText;
  }
}

function mapFields(rule: LoadRule, change: RowChange, event: PgqEvent, batch: Batch): RowChange {
  const row: TextRow = {};
  for (const [from, to] of Object.entries(rule.fields!)) {
    const around = SURROUNDINGS[from];
    const value = around === undefined ? change.row[from] : around(event, batch);
    if (value !== undefined) setColumn(row, to, value);
  }
  const keyColumns =
    rule.rowMode === 'keep_all' ? [] : change.keyColumns.map((column) => keyOf(rule, column));
  return { ...change, row, keyColumns };
}

function keyOf(rule: LoadRule, column: string): string {
  const to = rule.fields![column];
  if (to !== undefined) return to;
  throw new SkytoolsError('LOAD_KEY_NOT_MAPPED', `key column ${column} is not among the fields`, {
    subject: { table: rule.into, column },
    hint: 'add it to "fields": rows are found by their key',
  });
}

const partial = (rule: LoadRule, change: RowChange) =>
  new SkytoolsError('LOAD_ROW_PARTIAL', `an update of ${change.table} names the changed columns only`, {
    subject: { table: rule.into },
    hint: 'keep_all needs whole rows: capture with logutriga or jsontriga instead of sqltriga',
  });

/** Whether a type is among patterns, whose last character may be a `*` for any rest. */
export const typeMatches = (patterns: readonly string[], type: string | null): boolean =>
  type !== null &&
  patterns.some((pattern) =>
    pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern,
  );

import type { Client } from '../../postgres/connect.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { quoteColumns, quoteIdent } from '../../postgres/quote.ts';
import type { RowChange } from '../codecs/row-change.ts';
import type { TextRow } from '../codecs/urlencoded.ts';
import { copyRows } from './copy-rows.ts';
import type { TargetTable, TargetTables } from './target-tables.ts';

/** What a run of changes leaves of one row. */
interface NetRow {
  key: (string | null)[];
  /** The row was deleted at some point of the run: what stood in the target before must go. */
  deleted: boolean;
  /** The row at the end of the run; undefined if it is gone. */
  row: TextRow | undefined;
  /** Whether `row` has all captured columns. */
  whole: boolean;
}

/** The net effect on one table. */
interface NetTable {
  table: TargetTable;
  mode: WriteMode;
  keyColumns: string[];
  rows: Map<string, NetRow>;
  /** Rows that are only added: those of tables without a key, and those of mode `append`. */
  added: TextRow[];
}

/** Integrity violations that may come from the order of the statements rather than from the data. */
const ORDER_DEPENDENT = ['23001', '23503', '23505', '23P01'];

/**
 * How the rows of a table are written: `upsert` needs a unique index on the key; `replace` deletes what has the key first,
 * for tables that have none; `append` keeps every image as a row of its own.
 */
export type WriteMode = 'upsert' | 'replace' | 'append';

/** Writes changes to the target, as few statements as their net effect allows. Inside the caller's transaction. */
export class NetChanges {
  readonly #client: Client;
  readonly #tables: TargetTables;
  readonly #modeOf: (table: string) => WriteMode;

  constructor(client: Client, tables: TargetTables, modeOf: (table: string) => WriteMode = () => 'upsert') {
    this.#client = client;
    this.#tables = tables;
    this.#modeOf = modeOf;
  }

  /** Applies changes in their order; a TRUNCATE separates what comes before it from what comes after. */
  async apply(changes: readonly RowChange[]): Promise<void> {
    let from = 0;
    for (let at = 0; at <= changes.length; at++) {
      const change = changes[at];
      if (change !== undefined && change.operation !== 'truncate') continue;
      await this.#applyRun(changes.slice(from, at));
      from = at + 1;
      if (change) {
        const { quoted, partitioned } = await this.#tables.find(change.table, []);
        const only = partitioned || this.#modeOf(change.table) === 'replace' ? '' : 'only ';
        await this.#client.query(`truncate table ${only}${quoted}`);
      }
    }
  }

  async #applyRun(changes: readonly RowChange[]): Promise<void> {
    if (changes.length === 0) return;
    await this.#client.query('savepoint net_changes');
    try {
      await this.#write(await this.#net(changes));
      await this.#client.query('release savepoint net_changes');
    } catch (error) {
      if (changes.length === 1 || !hasSqlState(error, ...ORDER_DEPENDENT)) throw error;
      await this.#client.query('rollback to savepoint net_changes; release savepoint net_changes');
      for (const change of changes) await this.#write(await this.#net([change]));
    }
  }

  async #net(changes: readonly RowChange[]): Promise<NetTable[]> {
    const tables = new Map<string, NetTable>();
    for (const change of changes) {
      let net = tables.get(change.table);
      if (!net) {
        const table = await this.#tables.find(change.table, []);
        const keyColumns = change.keyColumns.length > 0 ? change.keyColumns : table.key;
        const mode = this.#modeOf(change.table);
        net = { table, mode, keyColumns, rows: new Map(), added: [] };
        tables.set(change.table, net);
      }
      if (net.mode === 'append' || net.keyColumns.length === 0) net.added.push(change.row);
      else merge(net, change);
    }
    return [...tables.values()];
  }

  async #write(nets: readonly NetTable[]): Promise<void> {
    for (const net of nets) {
      const replaced = (row: NetRow) => net.mode === 'replace' && row.row !== undefined && row.whole;
      const gone = [...net.rows.values()].filter((row) => row.deleted || replaced(row));
      if (gone.length > 0) await this.#delete(net, gone);
    }
    for (const net of nets) {
      const present = [...net.rows.values()].filter((row) => row.row !== undefined);
      for (const rows of sameColumns(present.filter((row) => row.whole).map((row) => row.row!)))
        await (net.mode === 'replace' ? this.#append(net, rows) : this.#upsert(net, rows));
      for (const rows of sameColumns(present.filter((row) => !row.whole).map((row) => row.row!)))
        await this.#update(net, rows);
      for (const rows of sameColumns(net.added)) await this.#append(net, rows);
    }
  }

  async #delete(net: NetTable, rows: readonly NetRow[]): Promise<void> {
    await this.#tables.find(net.table.name, net.keyColumns);
    const source = values(net.table, net.keyColumns);
    await this.#client.query(
      `delete from ${net.table.quoted} t using ${source.from} where ${matches(net.keyColumns, source)}`,
      net.keyColumns.map((_, index) => rows.map((row) => row.key[index])),
    );
  }

  async #upsert(net: NetTable, rows: readonly TextRow[]): Promise<void> {
    const columns = Object.keys(rows[0]!);
    const others = columns.filter((column) => !net.keyColumns.includes(column));
    const action =
      others.length === 0
        ? 'do nothing'
        : `do update set ${others.map((column) => `${quoteIdent(column)} = excluded.${quoteIdent(column)}`).join(', ')}`;
    await this.#tables.find(net.table.name, columns);
    const source = values(net.table, columns);
    await this.#client.query(
      `insert into ${net.table.quoted} (${quoteColumns(columns)}) overriding system value
       select ${columns.map(source.value).join(', ')} from ${source.from}
           on conflict (${quoteColumns(net.keyColumns)}) ${action}`,
      parameters(columns, rows),
    );
  }

  /** COPY reads each value as its column's type does, and takes values for identity columns. */
  async #append(net: NetTable, rows: readonly TextRow[]): Promise<void> {
    const columns = Object.keys(rows[0]!);
    await this.#tables.find(net.table.name, columns);
    await copyRows(this.#client, net.table.quoted, columns, rows);
  }

  async #update(net: NetTable, rows: readonly TextRow[]): Promise<void> {
    const columns = Object.keys(rows[0]!);
    await this.#tables.find(net.table.name, columns);
    const source = values(net.table, columns);
    const others = columns.filter((column) => !net.keyColumns.includes(column));
    if (others.length === 0) return;
    await this.#client.query(
      `update ${net.table.quoted} t set ${others.map((column) => `${quoteIdent(column)} = ${source.value(column)}`).join(', ')}
         from ${source.from} where ${matches(net.keyColumns, source)}`,
      parameters(columns, rows),
    );
  }
}

/** Adds a change to what is known of its row. */
function merge(net: NetTable, change: RowChange): void {
  const key = net.keyColumns.map((column) => change.row[column] ?? null);
  const id = JSON.stringify(key);
  const before = net.rows.get(id);
  if (change.operation === 'delete') {
    net.rows.set(id, { key, deleted: true, row: undefined, whole: true });
  } else if (change.whole) {
    net.rows.set(id, { key, deleted: before?.deleted ?? false, row: change.row, whole: true });
  } else {
    const row = { ...before?.row, ...change.row };
    net.rows.set(id, {
      key,
      deleted: before?.deleted ?? false,
      row,
      whole: before?.row !== undefined && before.whole,
    });
  }
}

/** Groups rows that have the same columns, in the order of their first appearance. */
function sameColumns(rows: readonly TextRow[]): TextRow[][] {
  return [...Map.groupBy(rows, (row) => JSON.stringify(Object.keys(row).sort())).values()];
}

interface ValueSource {
  from: string;
  value: (column: string) => string;
}

/** Rows as parallel arrays of text, cast column by column: text has a form for every type, arrays of arrays included. */
function values(table: TargetTable, columns: readonly string[]): ValueSource {
  const names = columns.map((_, index) => `c${index}`);
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`);
  return {
    from: `unnest(${arrays.join(', ')}) as v (${names.join(', ')})`,
    value: (column) => `v.c${columns.indexOf(column)}::${table.types.get(column)}`,
  };
}

const parameters = (columns: readonly string[], rows: readonly TextRow[]) =>
  columns.map((column) => rows.map((row) => row[column] ?? null));

const matches = (keyColumns: readonly string[], source: ValueSource) =>
  keyColumns.map((column) => `t.${quoteIdent(column)} = ${source.value(column)}`).join(' and ');

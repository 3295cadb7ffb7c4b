import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { quoteIdent, quoteQualified } from '../../postgres/quote.ts';

/** What writing to a table has to know of it. */
export interface TargetTable {
  /** `schema.table` as events name it. */
  name: string;
  /** Quoted and qualified. */
  quoted: string;
  /** Type of each column, to cast text to. */
  types: Map<string, string>;
  /** Columns of the primary key; empty if there is none. */
  key: string[];
  /** Whether it is a partitioned table, whose rows are in its partitions. */
  partitioned: boolean;
}

/** The tables of the target, each looked up once per batch. */
export class TargetTables {
  readonly #client: Client;
  readonly #known = new Map<string, TargetTable>();

  constructor(client: Client) {
    this.#client = client;
  }

  /** @throws SkytoolsError APPLY_TABLE_MISSING, APPLY_COLUMN_MISSING */
  async find(name: string, columns: Iterable<string>): Promise<TargetTable> {
    let table = this.#known.get(name);
    if (!table) {
      table = await this.#look(name);
      this.#known.set(name, table);
    }
    for (const column of columns) {
      if (!table.types.has(column)) throw columnMissing(name, column);
    }
    return table;
  }

  async #look(name: string): Promise<TargetTable> {
    const quoted = quoteQualified(name);
    // Type names without a length: a cast to varchar(5) would cut the value silently where an assignment complains.
    const { rows } = await this.#client.query<{
      column: string;
      type: string;
      key: number | null;
      partitioned: boolean;
    }>(
      `select a.attname as column, format_type(a.atttypid, -1) as type, array_position(i.indkey::int2[], a.attnum) as key,
              c.relkind = 'p' as partitioned
         from pg_catalog.pg_attribute a
         join pg_catalog.pg_class c on c.oid = a.attrelid
         left join pg_catalog.pg_index i on i.indrelid = a.attrelid and i.indisprimary
        where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        order by a.attnum`,
      [quoted],
    );
    if (rows.length === 0) {
      throw new SkytoolsError('APPLY_TABLE_MISSING', `the target has no table ${name}`, {
        subject: { table: name },
        hint: 'create it, or map it to another under "tables" of the consumer',
      });
    }
    const key = rows.filter((row) => row.key !== null).sort((a, b) => a.key! - b.key!);
    return {
      name,
      quoted,
      types: new Map(rows.map((row) => [row.column, row.type])),
      key: key.map((row) => row.column),
      partitioned: rows[0]!.partitioned,
    };
  }
}

const columnMissing = (table: string, column: string) =>
  new SkytoolsError(
    'APPLY_COLUMN_MISSING',
    `the target's table ${table} has no column ${column} to write to`,
    {
      subject: { table, column },
      hint: `add the column ${quoteIdent(column)} to the target, or leave it out with ignore= in the trigger`,
    },
  );

import { decodeUrlencoded } from '../pgq/codecs/urlencoded.ts';
import { SkytoolsError } from '../platform/errors.ts';
import type { Client } from '../postgres/connect.ts';
import { quoteQualified } from '../postgres/quote.ts';
import type { TableHook } from './apply/event-type.ts';
import { handlerOf } from './handlers/registry.ts';
import type { MissingRows, NodeSettings } from './settings.ts';

/** A subscribed table as `londiste.table_info` has it. */
export interface Subscription {
  /** Name in the queue. */
  name: string;
  /** Name of the real table. */
  dest: string;
  /** NULL, `in-copy`, `catching-up`, `wanna-sync:T`, `do-sync:X` or `ok`. */
  state: string | null;
  /** Events visible in it are in the table already. */
  snapshot: string | null;
  attributes: Readonly<Record<string, string | null>>;
}

/** The subscribed tables of a node; only the one named `table`, if given. */
export async function subscriptions(client: Client, queue: string, table?: string): Promise<Subscription[]> {
  const { rows } = await client.query<{
    table_name: string;
    dest_table: string | null;
    merge_state: string | null;
    custom_snapshot: string | null;
    table_attrs: string | null;
  }>(
    `select table_name, dest_table, merge_state, custom_snapshot, table_attrs
       from londiste.table_info where queue_name = $1 and local and ($2::text is null or table_name = $2)
      order by nr, table_name`,
    [queue, table ?? null],
  );
  return rows.map((row) => ({
    name: row.table_name,
    dest: row.dest_table ?? row.table_name,
    state: row.merge_state,
    snapshot: row.custom_snapshot,
    attributes: decodeUrlencoded(row.table_attrs ?? ''),
  }));
}

/**
 * Whether a table's events are applied to it.
 *
 * @throws UsageError LONDISTE_HANDLER_UNKNOWN, LONDISTE_HANDLER_ARGUMENT
 */
export const holdsRows = (table: Subscription): boolean => handlerOf(table.attributes).handler.holdsRows;

/**
 * What looks at each of the table's events, if its handler does.
 *
 * @throws UsageError LONDISTE_HANDLER_UNKNOWN, LONDISTE_HANDLER_ARGUMENT
 */
export function hookOf(table: Subscription): TableHook | undefined {
  const { handler, arguments: given } = handlerOf(table.attributes);
  return handler.onEvent && ((client, event) => handler.onEvent!(client, event, given));
}

/** A column of a real table. */
interface Column {
  /** Type to cast text to, without a length: a cast would cut silently where an assignment complains. */
  type: string;
  /** Computed by the server: `s` and `v` are never written. */
  generated: string;
  /** `a`: identity ALWAYS, which an update cannot set. */
  identity: string;
  /** Undefined where its type may write one value in two ways. */
  oneText: OneText | undefined;
}

/** Types that write each value in one way only. */
export type OneText = 'integer' | 'uuid' | 'text';

/** What applying to a real table has to know of it. */
export interface RealTable {
  name: string;
  dest: string;
  /** Quoted and qualified. */
  quoted: string;
  /** `only ` except for partitioned tables. */
  only: string;
  columns: ReadonlyMap<string, Column>;
  /** Columns of the primary key. */
  key: string[];
  /** Rows can be copied into it: no view, and no rules or policies that COPY goes past or is refused by. */
  takesCopy: boolean;
  snapshot: string | null;
  missingRows: MissingRows;
  /** A TRUNCATE leaves its rows alone. */
  ignoresTruncate: boolean;
}

/** @throws SkytoolsError LONDISTE_TABLE_MISSING */
export async function realTable(
  client: Client,
  table: Subscription,
  settings: NodeSettings,
): Promise<RealTable> {
  return (await realTables(client, [table], settings))[0]!;
}

/**
 * Reads the shapes of any number of tables with one statement.
 *
 * @throws SkytoolsError LONDISTE_TABLE_MISSING, of the first that is
 */
export async function realTables(
  client: Client,
  tables: readonly Subscription[],
  settings: NodeSettings,
): Promise<RealTable[]> {
  if (tables.length === 0) return [];
  const { rows } = await client.query<ColumnRow>(
    `select d.nr::int4 as nr, a.attname as column, format_type(a.atttypid, -1) as type, a.attgenerated as generated,
            a.attidentity as identity, c.relkind as kind,
            c.relkind in ('r', 'p') and not c.relhasrules and not c.relrowsecurity as plain,
            case when a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) then 'integer'
                 when a.atttypid = 'uuid'::regtype then 'uuid'
                 when a.atttypid in ('text'::regtype, 'varchar'::regtype) and l.collisdeterministic then 'text'
                 end as texts,
            array_position((i.indkey::int2[])[0:i.indnkeyatts - 1], a.attnum) as key
       from unnest($1::text[]) with ordinality d (quoted, nr)
       join pg_catalog.pg_class c on c.oid = to_regclass(d.quoted)
       join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       left join pg_catalog.pg_collation l on l.oid = a.attcollation
       left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary
      order by a.attnum`,
    [tables.map(({ dest }) => quoteQualified(dest))],
  );
  const shapes = Map.groupBy(rows, ({ nr }) => nr);
  return tables.map((table, index) => describe(table, shapes.get(index + 1) ?? [], settings));
}

/** A column of one of the tables asked for. */
interface ColumnRow {
  /** Which of them, from 1. */
  nr: number;
  column: string;
  type: string;
  generated: string;
  identity: string;
  texts: OneText | null;
  kind: string;
  plain: boolean;
  key: number | null;
}

function describe(table: Subscription, rows: readonly ColumnRow[], settings: NodeSettings): RealTable {
  if (rows.length === 0) {
    throw new SkytoolsError(
      'LONDISTE_TABLE_MISSING',
      `the subscribed table ${table.dest} does not exist here`,
      {
        subject: { table: table.name },
        hint: 'create it again and run `skytools londiste resync`, or `skytools londiste remove-table`',
      },
    );
  }
  return {
    name: table.name,
    dest: table.dest,
    quoted: quoteQualified(table.dest),
    only: rows[0]!.kind === 'p' ? '' : 'only ',
    columns: new Map(
      rows.map(({ column, type, generated, identity, texts }) => [
        column,
        { type, generated, identity, oneText: texts ?? undefined },
      ]),
    ),
    key: rows
      .filter((row) => row.key !== null)
      .sort((a, b) => a.key! - b.key!)
      .map((row) => row.column),
    takesCopy: rows[0]!.plain,
    snapshot: table.snapshot,
    missingRows: settings.tables[table.name]?.missingRows ?? settings.missingRows,
    ignoresTruncate: handlerOf(table.attributes).arguments.ignore_truncate === '1',
  };
}

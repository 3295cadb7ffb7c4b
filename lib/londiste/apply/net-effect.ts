import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { quoteColumns, quoteIdent, quoteLiteral } from '../../postgres/quote.ts';
import type { RealTable } from '../tables.ts';
import { type Layout, layoutOf, type TypeGroup, typeGroup } from './layout.ts';
import { STAGING } from './staging.ts';

/** Events by their id: `from` < id < `to`. */
export interface Range {
  from: bigint;
  to: bigint;
}

/** How the events of a table meet its rows. */
export interface ApplyMode {
  /**
   * The rows may be older or newer than the events (a copy catches up): what an event says is so whatever was there
   * before. Else an insert of a row that is there is an error, and a change of a row that is not is counted.
   */
  idempotent: boolean;
}

/** The range holds events of a table that are not written alike: it has to be split. */
export class MixedLayouts extends Error {}

/** Events of one table within a range. */
export interface TableEvents {
  table: string;
  group: TypeGroup;
  types: string[];
  events: number;
  letters: Set<string>;
}

/** What stands in a range, table by table. @throws MixedLayouts where a table's events name different keys or formats */
export async function tablesIn(
  client: Client,
  names: readonly string[],
  range: Range,
): Promise<TableEvents[]> {
  const { rows } = await client.query<{ table: string; type: string; events: number }>(
    `select ev_extra1 as table, ev_type as type, count(*)::int4 as events from ${STAGING}
      where ev_id > $1 and ev_id < $2 and ev_extra1 = any ($3) group by 1, 2`,
    [range.from, range.to, names],
  );
  const tables = new Map<string, TableEvents>();
  for (const { table, type, events } of rows) {
    const group = typeGroup(type);
    if (group === undefined) continue;
    const letter = group.format === 'json' ? type[7]! : type[0]!;
    const known = tables.get(table);
    if (known === undefined) {
      tables.set(table, { table, group, types: [type], events, letters: new Set([letter]) });
    } else {
      if (JSON.stringify(known.group) !== JSON.stringify(group)) throw new MixedLayouts();
      known.types.push(type);
      known.events += events;
      known.letters.add(letter);
    }
  }
  return [...tables.values()];
}

/** Below this many events the net effect is computed in each statement; above it once, into a table of its own. */
const OWN_TABLE_FROM = 1_000;

/** A net row's first and last operation; `ins`: an insert was among them, so the row exists afterwards. */
const NET = 'londiste_net';

/**
 * Applies the net effect of a table's events in a range: for each key the last event decides, the first tells whether the
 * row was there before. Deletes go first, so that a unique value may travel from a deleted row to a new one; what one
 * statement cannot do (unique values that change places) fails here, and the caller splits the range.
 *
 * @returns how many updates and deletes found no row
 * @throws MixedLayouts; SkytoolsError LONDISTE_COLUMN_MISSING, LONDISTE_ROW_MISSING; PostgresError
 */
export async function applyNetEffect(
  client: Client,
  table: RealTable,
  found: TableEvents,
  range: Range,
  mode: ApplyMode,
): Promise<number> {
  const filter = eventFilter(table, found, range);
  const sample = await client.query<{ data: string }>(
    `select b.ev_data as data from ${STAGING} b where ${filter} order by b.ev_id limit 1`,
  );
  if (sample.rows.length === 0) return 0;
  const layout = layoutOf(found.group, sample.rows[0]!.data);
  if (found.events > 1) {
    const odd = await client.query(
      `select from ${STAGING} b${layout.from} where ${filter} and (${layout.fits}) is not true limit 1`,
    );
    if (odd.rowCount !== 0) throw new MixedLayouts();
  }
  const select = netSelect(table, layout, filter);
  const own = found.events >= OWN_TABLE_FROM;
  if (own) {
    await client.query(`create temp table ${NET} on commit drop as ${select}`);
    await client.query(`analyze ${NET}`);
  }
  const missing = await writeNet(
    client,
    table,
    found,
    layout,
    mode,
    own ? '' : `${NET} as materialized (${select}), `,
  );
  if (own) await client.query(`drop table pg_temp.${NET}`);
  if (missing > 0 && table.missingRows === 'stop') {
    throw new SkytoolsError(
      'LONDISTE_ROW_MISSING',
      `${missing} changed rows of ${table.dest} do not exist here`,
      {
        subject: { table: table.name },
        hint: 'find out who changes the table here; `skytools londiste resync` copies it again, missingRows: upsert or ignore goes on without',
      },
    );
  }
  return missing;
}

function eventFilter(table: RealTable, found: TableEvents, range: Range): string {
  const visible =
    table.snapshot === null
      ? ''
      : ` and not txid_visible_in_snapshot(b.ev_txid, ${quoteLiteral(table.snapshot)}::txid_snapshot)`;
  return `b.ev_extra1 = ${quoteLiteral(table.name)} and b.ev_id > ${range.from} and b.ev_id < ${range.to}
    and b.ev_type in (${found.types.map(quoteLiteral).join(', ')})${visible}`;
}

/** Names of a net row's columns: by number, so that no column of the table can clash. */
const netColumn = (layout: Layout, column: string) => `n.c${layout.columns.indexOf(column)}`;

function typedValue(table: RealTable, layout: Layout, column: string): string {
  const target = table.columns.get(column);
  if (target === undefined) {
    throw new SkytoolsError(
      'LONDISTE_COLUMN_MISSING',
      `events of ${table.name} have a column ${column} that ${table.dest} lacks here`,
      {
        subject: { table: table.name, column },
        hint: 'add the column here, or leave it out at the source with the trigger argument ignore=',
      },
    );
  }
  return `(${layout.value(column)})::${target.type}`;
}

function netSelect(table: RealTable, layout: Layout, filter: string): string {
  const values = layout.columns.map((column, index) => `${typedValue(table, layout, column)} as c${index}`);
  if (layout.key.length === 0) {
    return `select 0 as first, ${layout.operation} as last, true as ins, ${values.join(', ')}
              from ${STAGING} b${layout.from} where ${filter}`;
  }
  const keys = layout.key.map((column, index) => `${typedValue(table, layout, column)} as k${index}`);
  const grouped = layout.key.map((_, index) => `k${index}`).join(', ');
  return `select g.f & 3 as first, g.l & 3 as last, g.ins, ${values.join(', ')}
            from (select min(o.code) as f, max(o.code) as l, bool_or(o.code & 3 = 0) as ins
                    from (select b.ev_id * 4 + ${layout.operation} as code, ${keys.join(', ')}
                            from ${STAGING} b${layout.from} where ${filter}) o
                   group by ${grouped}) g
            join ${STAGING} b on b.ev_id = g.l >> 2${layout.from}`;
}

async function writeNet(
  client: Client,
  table: RealTable,
  found: TableEvents,
  layout: Layout,
  mode: ApplyMode,
  prefix: string,
): Promise<number> {
  const matches = layout.key
    .map((column) => `t.${quoteIdent(column)} = ${netColumn(layout, column)}`)
    .join(' and ');
  const writable = layout.columns.filter((column) => table.columns.get(column)!.generated === '');
  const settable = writable.filter(
    (column) => !layout.key.includes(column) && table.columns.get(column)!.identity !== 'a',
  );
  const assignments = settable
    .map((column) => `${quoteIdent(column)} = ${netColumn(layout, column)}`)
    .join(', ');
  const rows = writable.map((column) => netColumn(layout, column)).join(', ');
  const insert = (where: string, conflict = '') =>
    `insert into ${table.quoted} as t (${quoteColumns(writable)}) overriding system value
     select ${rows} from ${NET} n where ${where} ${conflict}`;
  // What a statement changed, and how many rows it should have found.
  const run = async (statement: string, expected = 'false') => {
    const answer = await client.query<{ done: number; expected: number }>(
      `with ${prefix}done as (${statement} returning 1)
       select (select count(*) from done)::int4 as done,
              (select count(*) from ${NET} n where ${expected})::int4 as expected`,
    );
    return answer.rows[0]!;
  };

  let missing = 0;
  const keyed = layout.key.length > 0;
  if (keyed && found.letters.has('D')) {
    const { done, expected } = await run(
      `delete from ${table.only}${table.quoted} t using ${NET} n where n.last = 2 and ${matches}`,
      'n.last = 2 and n.first <> 0',
    );
    missing += Math.max(0, expected - done);
  }
  if (mode.idempotent && keyed && !layout.partial) {
    if (found.letters.has('I') || found.letters.has('U')) {
      const others = writable.filter((column) => !layout.key.includes(column));
      const sets = others
        .filter((column) => table.columns.get(column)!.identity !== 'a')
        .map((column) => `${quoteIdent(column)} = excluded.${quoteIdent(column)}`);
      const action = sets.length === 0 ? 'do nothing' : `do update set ${sets.join(', ')}`;
      await run(insert('n.last <> 2', `on conflict (${quoteColumns(layout.key)}) ${action}`));
    }
    return 0;
  }
  // A row that was deleted and inserted again was there before as well.
  const changed =
    found.letters.has('U') || found.letters.has('u') || (found.letters.has('D') && found.letters.has('I'));
  if (keyed && changed && assignments !== '') {
    const there = 'n.last <> 2 and n.first <> 0';
    const { done, expected } = await run(
      `update ${table.only}${table.quoted} t set ${assignments} from ${NET} n where ${there} and ${matches}`,
      there,
    );
    if (done < expected) {
      missing += expected - done;
      const added = table.missingRows === 'upsert' && !layout.partial ? there : `${there} and n.ins`;
      await run(
        insert(`${added} and not exists (select from ${table.only}${table.quoted} t where ${matches})`),
      );
    }
  }
  if (found.letters.has('I')) await run(insert('n.last <> 2 and n.first = 0'));
  return mode.idempotent ? 0 : missing;
}

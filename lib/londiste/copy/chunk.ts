import type pg from 'pg';
import { keepingAlive } from '../../pgq/keep-alive.ts';
import type { Deadline } from '../../platform/deadline.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import { type CopyResult, copyBetween } from '../../postgres/copy.ts';
import { quoteColumns, quoteIdent, quoteLiteral, quoteQualified } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';
import type { NodeSettings } from '../settings.ts';
import { type RealTable, realTable, type Subscription } from '../tables.ts';

/** A chunk that was copied. */
export interface CopiedChunk extends CopyResult {
  nr: number;
}

/**
 * Copies the next chunk that nobody else is at; its rows and its mark commit together.
 *
 * @returns undefined where no chunk is to be had
 */
export async function copyChunk(
  source: pg.Client,
  target: pg.Client,
  queue: string,
  table: Subscription,
  settings: NodeSettings,
  deadline: Deadline,
): Promise<CopiedChunk | undefined> {
  return transaction(
    target,
    async () => {
      const { rows } = await target.query<{
        nr: number;
        lower_key: string[] | null;
        upper_key: string[] | null;
      }>(
        `select c.nr, c.lower_key, c.upper_key from londiste.copy_chunk c
          where c.queue_name = $1 and c.table_name = $2 and c.done is null
          order by c.nr for update skip locked limit 1`,
        [queue, table.name],
      );
      const chunk = rows[0];
      if (chunk === undefined) return undefined;
      await target.query(`select londiste.set_session_replication_role('replica', true)`);
      const real = await realTable(target, table, settings);
      const copied = await transaction(
        source,
        () =>
          keepingAlive(target, () =>
            pass(source, target, queue, table, real, chunk.lower_key, chunk.upper_key),
          ),
        { readOnly: true, deadline, subject: { queue, table: table.name } },
      );
      await target.query(
        `update londiste.copy_chunk set done = now(), rows = $4, bytes = $5 where queue_name = $1 and table_name = $2 and nr = $3`,
        [queue, table.name, chunk.nr, copied.rows, copied.bytes],
      );
      return { ...copied, nr: chunk.nr };
    },
    { deadline, subject: { queue, table: table.name } },
  );
}

interface SourceColumn {
  column: string;
  type: string;
  /** Whether its binary form means the same in another database: no object ids of user types in it. */
  portable: boolean;
  generated: boolean;
}

async function pass(
  source: pg.Client,
  target: pg.Client,
  queue: string,
  table: Subscription,
  real: RealTable,
  lower: string[] | null,
  upper: string[] | null,
): Promise<CopyResult> {
  const listed = await source.query<{ dest_table: string | null }>(
    'select dest_table from londiste.get_table_list($1) where table_name = $2 and local',
    [queue, table.name],
  );
  const from = quoteQualified(listed.rows[0]?.dest_table ?? table.name);
  const { rows: all } = await source.query<SourceColumn & { kind: string }>(
    `select a.attname as column, format_type(a.atttypid, -1) as type, a.attgenerated <> '' as generated, c.relkind as kind,
            t.typtype = 'e' or coalesce(nullif(t.typbasetype, 0), t.oid) < 16384 as portable
       from pg_catalog.pg_attribute a
       join pg_catalog.pg_class c on c.oid = a.attrelid
       join pg_catalog.pg_type t on t.oid = a.atttypid
      where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum`,
    [from],
  );
  const columns = all.filter(
    ({ column, generated }) => !generated && real.columns.get(column)?.generated !== 's',
  );
  const unknown = columns.find(({ column }) => !real.columns.has(column));
  if (unknown !== undefined) {
    throw new SkytoolsError(
      'LONDISTE_COLUMN_MISSING',
      `table ${table.dest} lacks the column ${unknown.column} of its source`,
      {
        subject: { queue, table: table.name, column: unknown.column },
        hint: 'add the column here; the copy goes on by itself',
      },
    );
  }
  const binary = columns.every(
    ({ column, type, portable }) => portable && real.columns.get(column)!.type === type,
  );
  const list = quoteColumns(columns.map(({ column }) => column));
  const typeOf = (column: string) => all.find((other) => other.column === column)!.type;
  const key = `(${quoteColumns(real.key)})`;
  const bound = (values: string[]) =>
    `(${values.map((value, index) => `${quoteLiteral(value)}::${typeOf(real.key[index]!)}`).join(', ')})`;
  const range = [
    ...(lower === null ? [] : [`${key} >= ${bound(lower)}`]),
    ...(upper === null ? [] : [`${key} < ${bound(upper)}`]),
  ];
  const only = all[0]?.kind === 'p' ? '' : 'only ';
  const where = range.length > 0 ? ` where ${range.join(' and ')}` : '';
  const format = binary ? ' (format binary)' : '';
  const out = `copy (select ${list} from ${only}${from}${where}) to stdout${format}`;
  if (table.attributes.skip_truncate !== '1')
    return copyBetween(source, out, target, `copy ${real.quoted} (${list}) from stdin${format}`);
  // Rows that were here before: the source's row wins.
  await target.query(
    `create temp table londiste_chunk on commit drop as select ${list} from ${real.quoted} where false`,
  );
  const copied = await copyBetween(
    source,
    out,
    target,
    `copy pg_temp.londiste_chunk (${list}) from stdin${format}`,
  );
  const others = columns
    .filter(({ column }) => !real.key.includes(column))
    .map(({ column }) => quoteIdent(column));
  const action =
    others.length === 0
      ? 'nothing'
      : `update set ${others.map((column) => `${column} = excluded.${column}`).join(', ')}`;
  await target.query(
    `insert into ${real.quoted} (${list}) overriding system value select ${list} from pg_temp.londiste_chunk
     on conflict (${quoteColumns(real.key)}) do ${action}`,
  );
  return copied;
}

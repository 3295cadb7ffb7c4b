import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { copyIn } from '../../postgres/copy.ts';
import { quoteColumns, quoteIdent, quoteQualified } from '../../postgres/quote.ts';
import { type DemoTable, readDataFile } from './tables.ts';

/** Rows of one INSERT, which is one transaction: enough of them that a batch holds several. */
const SLICE_ROWS = 500;

/**
 * Fills a table from its data file, slice by slice, through its triggers.
 *
 * @param onProgress called after each slice with the rows loaded and the rows in all
 */
export async function loadTable(
  client: pg.Client,
  table: DemoTable,
  onProgress: (loaded: number, total: number) => void,
  signal?: AbortSignal,
): Promise<number> {
  const text = readDataFile(table.file);
  const expressions = table.columns.map(({ name, from }) => `${from} as ${quoteIdent(name)}`).join(', ');
  if (table.rows === undefined) await copyFile(client, text);
  // Temporary and so this session's own; parameters cannot stand in CREATE TABLE AS, a setting can be read in it.
  const rows = table.rows?.replace('$1', `current_setting('demo.file')`) ?? 'file';
  if (table.rows !== undefined) await client.query(`select set_config('demo.file', $1, false)`, [text]);
  await client.query(
    `drop table if exists pg_temp.loading;
     create temp table loading as select row_number() over (order by file.line) as "#", ${expressions} from ${rows}`,
  );
  const { rows: counted } = await client.query<{ total: number }>(
    'select count(*)::int4 as total from loading',
  );
  const { total } = counted[0]!;
  const columns = quoteColumns(table.columns.map(({ name }) => name));
  for (let from = 0; from < total && !signal?.aborted; from += SLICE_ROWS) {
    await client.query(
      `insert into ${quoteQualified(table.name)} (${columns}) select ${columns} from loading where "#" > $1 and "#" <= $2`,
      [from, from + SLICE_ROWS],
    );
    onProgress(Math.min(total, from + SLICE_ROWS), total);
  }
  return total;
}

/** A CSV file as the temporary table `file`: a text column for each of its own, and the line's number. */
async function copyFile(client: pg.Client, text: string): Promise<void> {
  const header = text.slice(0, text.indexOf('\n')).trim().split(',');
  await client.query(
    `drop table if exists pg_temp.file;
     create temp table file (${header.map((name) => `${quoteIdent(name)} text`).join(', ')}, line bigserial)`,
  );
  const sink = copyIn(client, `copy file (${quoteColumns(header)}) from stdin (format csv, header)`);
  await pipeline(Readable.from([text]), sink);
}

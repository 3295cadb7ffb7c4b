import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from '../../postgres/connect.ts';
import { copyIn } from '../../postgres/copy.ts';
import { toSkytoolsError } from '../../postgres/errors.ts';
import { quoteColumns } from '../../postgres/quote.ts';
import type { TextRow } from '../codecs/urlencoded.ts';
import { copyField } from '../copy-text.ts';

/** Rows in one piece of COPY data: fewer, larger writes. */
const ROWS_AT_ONCE = 1_000;

/**
 * Adds rows to a table by COPY.
 *
 * @param table quoted and qualified
 */
export async function copyRows(
  client: Client,
  table: string,
  columns: readonly string[],
  rows: readonly TextRow[],
): Promise<void> {
  const line = (row: TextRow) => `${columns.map((column) => copyField(row[column])).join('\t')}\n`;
  function* pieces() {
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE)
      yield rows
        .slice(at, at + ROWS_AT_ONCE)
        .map(line)
        .join('');
  }
  try {
    await pipeline(
      Readable.from(pieces()),
      copyIn(client, `copy ${table} (${quoteColumns(columns)}) from stdin`),
    );
  } catch (error) {
    throw toSkytoolsError(error);
  }
}

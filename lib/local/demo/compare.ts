import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type pg from 'pg';
import { copyOut } from '../../postgres/copy.ts';
import { toSkytoolsError } from '../../postgres/errors.ts';
import { quoteColumns, quoteIdent, quoteQualified } from '../../postgres/quote.ts';
import { type DemoTable, keyColumns } from './tables.ts';

/** How the rows of one table compare. */
export interface TableComparison {
  table: string;
  /** Rows that are the same on both sides. */
  same: number;
  onlySource: number;
  onlyTarget: number;
  /** Rows whose key is on both sides and whose columns are not the same text. */
  different: number;
}

export const isIdentical = (comparison: TableComparison): boolean =>
  comparison.onlySource + comparison.onlyTarget + comparison.different === 0;

/** Compares a table row by row, in the order of its key, by the exact text of every column. */
export async function compareTable(
  source: pg.Client,
  target: pg.Client,
  table: DemoTable,
): Promise<TableComparison> {
  const comparison: TableComparison = {
    table: table.name,
    same: 0,
    onlySource: 0,
    onlyTarget: 0,
    different: 0,
  };
  const [left, right] = [rowsOf(source, table), rowsOf(target, table)];
  let [a, b] = [await left.next(), await right.next()];
  while (!a.done || !b.done) {
    const order = a.done
      ? 1
      : b.done
        ? -1
        : a.value.key < b.value.key
          ? -1
          : Number(a.value.key > b.value.key);
    if (order < 0) comparison.onlySource++;
    else if (order > 0) comparison.onlyTarget++;
    else if (a.value!.row.equals(b.value!.row)) comparison.same++;
    else comparison.different++;
    if (order <= 0) a = await left.next();
    if (order >= 0) b = await right.next();
  }
  return comparison;
}

interface Row {
  /** The key's text in hexadecimal digits: it sorts here as it does there, and COPY escapes nothing in it. */
  key: string;
  /** All columns as COPY writes them. */
  row: Buffer;
}

async function* rowsOf(client: pg.Client, table: DemoTable): AsyncGenerator<Row, undefined> {
  const key = `encode(convert_to(row(${quoteColumns(keyColumns(table).map(({ name }) => name))})::text, 'UTF8'), 'hex')`;
  const columns = table.columns.map(({ name }) => `${quoteIdent(name)}::text`).join(', ');
  const statement = `copy (select ${key}, ${columns} from ${quoteQualified(table.name)} order by ${key} collate "C") to stdout`;
  const stream = copyOut(client, statement);
  try {
    for await (const line of lines(stream)) {
      const tab = line.indexOf(0x09);
      yield { key: line.toString('latin1', 0, tab), row: line.subarray(tab + 1) };
    }
  } catch (error) {
    throw toSkytoolsError(error, { table: table.name });
  } finally {
    if (!stream.readableEnded && !stream.destroyed) {
      stream.destroy();
      await once(stream, 'close');
    }
  }
  return undefined;
}

/** The lines of COPY's text format, which escapes line breaks in values. */
async function* lines(stream: Readable): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    let data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a)) {
      yield data.subarray(0, end);
      data = data.subarray(end + 1);
    }
    rest = data;
  }
}

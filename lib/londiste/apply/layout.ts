import { decodeRowChange } from '../../pgq/codecs/row-change.ts';
import { decodeUrlencoded, type TextRow } from '../../pgq/codecs/urlencoded.ts';
import type { RowKind } from './event-type.ts';

/** How the rows of some events are written: all of them the same way, so that one table takes them in. */
export interface Layout {
  format: RowKind['format'];
  /** An update by sqltriga: key and changed columns only. */
  partial: boolean;
  /** Columns of the key. */
  key: string[];
  /** Columns of the row, in the order of {@link names}. */
  columns: string[];
  /** Column names as the bytes of an event have them. */
  names: Buffer[];
}

/** A row of an event, decoded one by one where bytes cannot be passed on. */
export interface DecodedRow {
  row: TextRow;
  key: string[];
  partial: boolean;
}

/** @throws SyntaxError, URIError where data is not what the type says */
export function decodeRow(kind: RowKind, type: string, data: string, tableKey: string[]): DecodedRow {
  const change = decodeRowChange({ type, data, extra1: '' })!;
  const key = kind.format === 'sql' && kind.operation === 0 ? tableKey : change.keyColumns;
  return { row: change.row, key, partial: !change.whole };
}

/** Tells layouts apart; the names of columns hold no NUL. */
export const layoutId = (format: string, { row, key, partial }: DecodedRow): string =>
  [format, partial, ...key, '', ...Object.keys(row)].join('\0');

export function layoutOf(format: RowKind['format'], data: string, { row, key, partial }: DecodedRow): Layout {
  if (format !== 'urlencoded') {
    const columns = Object.keys(row);
    return {
      format,
      partial,
      key,
      columns,
      names: columns.map((column) => Buffer.from(JSON.stringify(column))),
    };
  }
  // Not by the keys of the row: an object has a column called 2021 before all others, wherever the event has it.
  const names = new Set(data.split('&').map((field) => field.replace(/=.*$/s, '')));
  names.delete('');
  const columns = [...names].flatMap((name) => Object.keys(decodeUrlencoded(name)));
  return { format, partial, key, columns, names: Array.from(names, (name) => Buffer.from(name)) };
}

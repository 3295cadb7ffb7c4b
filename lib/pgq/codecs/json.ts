import { setColumn, type TextRow } from './urlencoded.ts';

/**
 * The row format of `jsontriga`: one object; integers as JSON numbers of the full int8 range, booleans, dates as ISO
 * strings, everything else as a string of the type's text output.
 */

/** Integers beyond 2^53 lose digits in JSON.parse, so numbers are read as the text they were written as. */
const keepDigits = (_key: string, value: unknown, context?: { source?: string }) =>
  typeof value === 'number' ? (context?.source ?? String(value)) : value;

const parse = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context?: { source?: string }) => unknown,
) => unknown;

/**
 * Reads a row as text values, each acceptable as input of its column's type.
 *
 * @throws SyntaxError if the text is not a JSON object
 */
export function decodeJsonRow(text: string): TextRow {
  const value = parse(text, keepDigits);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new SyntaxError('a JSON row is an object');
  }
  const row: TextRow = {};
  for (const [column, item] of Object.entries(value)) {
    const plain = item === null || typeof item === 'string';
    setColumn(row, column, plain ? item : typeof item === 'object' ? JSON.stringify(item) : String(item));
  }
  return row;
}

/** Writes a row of text values: every value that is not NULL becomes a JSON string. */
export function encodeJsonRow(row: TextRow): string {
  return JSON.stringify(row);
}

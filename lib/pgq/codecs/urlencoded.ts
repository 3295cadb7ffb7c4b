/**
 * The row format of `logutriga`: `col=value&col2=value2`, a column that is NULL as its bare name. Names and values are
 * UTF-8 bytes: `A-Za-z0-9_.-` stand for themselves, a space is `+`, the rest `%xx` in lower-case hex (spec of the trigger
 * functions, section 14.1).
 */

/** A row as text: the values' PostgreSQL text output, or null. */
export type TextRow = Record<string, string | null>;

const PLAIN = /^[A-Za-z0-9_.-]*$/;
/** What encodeURIComponent leaves alone and the format does not. */
const EXTRA = /[!'()*~]/g;

function encode(text: string): string {
  if (PLAIN.test(text)) return text;
  return encodeURIComponent(text)
    .replace(/%[0-9A-F]{2}/g, (hex) => (hex === '%20' ? '+' : hex.toLowerCase()))
    .replace(EXTRA, (char) => `%${char.charCodeAt(0).toString(16)}`);
}

function decode(text: string): string {
  if (!/[%+]/.test(text)) return text;
  return decodeURIComponent(text.replaceAll('+', ' '));
}

/** Writes a row; columns in the order of the object's keys. */
export function encodeUrlencoded(row: TextRow): string {
  const parts: string[] = [];
  for (const [column, value] of Object.entries(row)) {
    parts.push(value === null ? encode(column) : `${encode(column)}=${encode(value)}`);
  }
  return parts.join('&');
}

/**
 * Reads a row. Empty parts are no columns; of two parts for one column the last counts.
 *
 * @throws URIError if a `%` is not followed by the hex digits of UTF-8 bytes
 */
export function decodeUrlencoded(text: string): TextRow {
  const row: TextRow = {};
  for (const part of text.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    if (equals < 0) setColumn(row, decode(part), null);
    else setColumn(row, decode(part.slice(0, equals)), decode(part.slice(equals + 1)));
  }
  return row;
}

/** A column may be called `__proto__`. */
export function setColumn(row: TextRow, column: string, value: string | null): void {
  if (column === '__proto__') {
    Object.defineProperty(row, column, { value, enumerable: true, configurable: true, writable: true });
  } else {
    row[column] = value;
  }
}

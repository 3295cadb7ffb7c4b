/** Characters that COPY's text format wants escaped (PostgreSQL documentation, COPY, "Text Format"). */
const SPECIAL = /[\\\n\r\t]/;
const ESCAPED = /[\\\n\r\t]/g;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** One field of a COPY text row. */
export function copyField(value: string | null | undefined): string {
  if (value === null || value === undefined) return '\\N';
  return SPECIAL.test(value) ? value.replace(ESCAPED, (char) => ESCAPES[char]!) : value;
}

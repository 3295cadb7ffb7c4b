import Table from 'cli-table3';

/** A column of a table for people. JSON output shows the whole row instead. */
export interface Column<Row> {
  title: string;
  value: (row: Row) => unknown;
  align?: 'left' | 'right';
}

/**
 * JSON as every command prints it: int8 values (`bigint`) as strings, because most JSON readers round numbers above 2^53;
 * counts that fit are numbers; times ISO 8601 in UTC.
 */
export function toJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, item) => {
      if (typeof item === 'bigint') return item.toString();
      if (item instanceof Map) return Object.fromEntries(item);
      return item;
    },
    2,
  );
}

/** One cell as text. Line breaks are escaped in plain output, where one row is one line. */
function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'object') return toJson(value);
  return String(value);
}

const PLAIN_CHARS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

const BOX_CHARS = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

export interface TableStyle {
  /** `box` on a terminal; `plain` aligned columns everywhere else. Neither ever cuts a value. */
  form: 'box' | 'plain';
  color: boolean;
}

export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  style: TableStyle,
): string {
  const plain = style.form === 'plain';
  const table = new Table({
    head: columns.map((column) => (plain ? column.title.toUpperCase() : column.title)),
    colAligns: columns.map((column) => column.align ?? 'left'),
    chars: plain ? PLAIN_CHARS : BOX_CHARS,
    style: {
      head: style.color ? ['bold'] : [],
      border: style.color ? ['gray'] : [],
      ...(plain ? { 'padding-left': 0, 'padding-right': 0 } : {}),
    },
  });
  for (const row of rows) {
    table.push(
      columns.map((column) => {
        const text = cellText(column.value(row));
        return plain ? text.replace(/\r/g, '\\r').replace(/\n/g, '\\n').replace(/\t/g, '\\t') : text;
      }),
    );
  }
  // A head row in box form needs its rule, which the removed inner rules took away with them.
  const text = table.toString();
  return `${text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}

/** `name: value` lines for one object. */
export function formatRecord(pairs: readonly (readonly [string, unknown])[]): string {
  const width = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs
    .map(([name, value]) => `${name.padEnd(width)}  ${cellText(value)}`.trimEnd())
    .join('\n')
    .concat('\n');
}

/** Seconds for people: `850ms`, `4.2s`, `3m 10s`, `2h 5m`, `6d 3h`. */
export function formatSeconds(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '';
  if (seconds < 0) return `-${formatSeconds(-seconds)}`;
  if (seconds < 1) return `${Math.round(seconds * 1000)}ms`;
  if (seconds < 60) return `${Number(seconds.toFixed(1))}s`;
  const whole = Math.round(seconds);
  const units: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'm'],
    [1, 's'],
  ];
  const at = units.findIndex(([size]) => whole >= size);
  const [size, name] = units[at]!;
  const [smaller, smallerName] = units[at + 1] ?? [1, ''];
  const rest = Math.floor((whole % size) / smaller);
  return `${Math.floor(whole / size)}${name}${rest > 0 && smallerName ? ` ${rest}${smallerName}` : ''}`;
}

/** Bytes for people, powers of 1024. */
export function formatBytes(bytes: number | bigint | null | undefined): string {
  if (bytes === null || bytes === undefined) return '';
  let value = Number(bytes);
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

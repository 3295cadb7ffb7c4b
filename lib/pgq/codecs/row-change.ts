import { decodeJsonRow } from './json.ts';
import { decodeSqlFragment } from './sql-fragment.ts';
import { decodeUrlencoded, type TextRow } from './urlencoded.ts';

/** The fields of an event that a trigger function wrote. */
export interface RowEvent {
  type: string | null;
  data: string | null;
  extra1: string | null;
}

/** One change of one row, whichever of the three trigger functions wrote it. */
export interface RowChange {
  operation: 'insert' | 'update' | 'delete' | 'truncate';
  /** `schema.table` as ev_extra1 has it, unquoted. */
  table: string;
  /** Columns that identify the row; empty for a table without a key, and for an insert written by sqltriga. */
  keyColumns: string[];
  /** Values after the change (before it, for a delete). An update by sqltriga has the key and what changed, no more. */
  row: TextRow;
  /** Whether `row` has every captured column; false for an update by sqltriga. */
  whole: boolean;
}

/** What ev_type says, before ev_data is read. */
interface TypeHeader {
  format: 'urlencoded' | 'json' | 'sql';
  operation: RowChange['operation'];
  keyColumns: string[];
}

const OPERATIONS = { I: 'insert', U: 'update', D: 'delete', R: 'truncate' } as const;

const JSON_OPERATIONS: Readonly<Record<string, RowChange['operation']>> = {
  INSERT: 'insert',
  UPDATE: 'update',
  DELETE: 'delete',
  TRUNCATE: 'truncate',
};

/** ev_type values recur by the thousand: the last ones read are kept. */
const headers = new Map<string, TypeHeader | undefined>();
const KEPT_HEADERS = 1000;

/**
 * Format, operation and key columns of an ev_type: `U:id,lang` (logutriga), `U` (sqltriga), `{"op":"UPDATE",…}`
 * (jsontriga), `R` (truncate). Undefined for events that no trigger function wrote.
 */
function parseEventType(type: string | null): TypeHeader | undefined {
  if (type === null) return undefined;
  if (headers.has(type)) return headers.get(type);
  const header = readHeader(type);
  if (headers.size >= KEPT_HEADERS) headers.clear();
  headers.set(type, header);
  return header;
}

function readHeader(type: string): TypeHeader | undefined {
  if (type.startsWith('{"')) {
    try {
      const { op, pkey } = JSON.parse(type) as { op?: string; pkey?: string[] };
      const operation = JSON_OPERATIONS[op ?? ''];
      if (!operation) return undefined;
      return { format: 'json', operation, keyColumns: (pkey ?? []).filter((column) => column !== '') };
    } catch {
      return undefined;
    }
  }
  const operation = OPERATIONS[type[0] as keyof typeof OPERATIONS];
  if (!operation) return undefined;
  if (type.length === 1) return { format: 'sql', operation, keyColumns: [] };
  if (type[1] !== ':' || operation === 'truncate') return undefined;
  return {
    format: 'urlencoded',
    operation,
    keyColumns: type
      .slice(2)
      .split(',')
      .map((column) => column.trim())
      .filter((column) => column !== ''),
  };
}

/** The key columns in an ev_type of logutriga or jsontriga; empty where it names none. */
export const keyColumnsOf = (type: string | null): string[] => parseEventType(type)?.keyColumns ?? [];

/**
 * Reads an event of `logutriga`, `jsontriga` or `sqltriga`; undefined where the event is none of theirs.
 *
 * @throws SyntaxError, URIError if ev_type says so but ev_data cannot be read
 */
export function decodeRowChange(event: RowEvent): RowChange | undefined {
  const header = parseEventType(event.type);
  if (!header || event.extra1 === null) return undefined;
  const { operation, format } = header;
  const table = event.extra1;
  if (operation === 'truncate') return { operation, table, keyColumns: [], row: {}, whole: true };
  const data = event.data ?? '';
  const { keyColumns } = header;
  if (format === 'json') return { operation, table, keyColumns, row: decodeJsonRow(data), whole: true };
  if (format === 'urlencoded')
    return { operation, table, keyColumns, row: decodeUrlencoded(data), whole: true };
  const letter = operation === 'insert' ? 'I' : operation === 'update' ? 'U' : 'D';
  const { values, key } = decodeSqlFragment(letter, data);
  return {
    operation,
    table,
    keyColumns: Object.keys(key),
    row: { ...key, ...values },
    whole: operation !== 'update',
  };
}

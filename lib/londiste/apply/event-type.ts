import type { Client } from '../../postgres/connect.ts';

/** An event as its queue has it. */
export interface QueueEvent {
  id: bigint;
  /** ISO 8601 in UTC, with microseconds. */
  time: string;
  type: string;
  data: string;
  /** Of rows and of TRUNCATE: the table's name in the queue. */
  extra1: string | null;
  extra2: string | null;
  extra3: string | null;
  extra4: string | null;
}

/** The hook of a table's handler, with the handler's arguments bound. */
export type TableHook = (client: Client, event: QueueEvent) => Promise<void>;

/** What an ev_type says of its event. */
export type EventKind = RowKind | { kind: 'truncate' } | { kind: 'system' };

/** A change of one row. */
export interface RowKind {
  kind: 'row';
  /** `logutriga`, `jsontriga` or `sqltriga` wrote it. */
  format: 'urlencoded' | 'json' | 'sql';
  operation: Operation;
  /** Columns of the key; empty for `sql`, whose data names it. */
  key: string[];
}

/** 0 insert, 1 update, 2 delete. */
export type Operation = 0 | 1 | 2;

const JSON_TYPE = /^\{"op":"(INSERT|UPDATE|DELETE|TRUNCATE)"/;
const ROW_TYPE = /^([IUD])(?::(.*))?$/s;

const LETTERS: Readonly<Record<string, Operation>> = { I: 0, U: 1, D: 2 };

const named = (columns: readonly string[]) =>
  columns.map((column) => column.trim()).filter((column) => column !== '');

/** Reads an ev_type; whatever no trigger function writes is of the cascade or of the set. */
export function eventKind(type: string): EventKind {
  if (type === 'R') return { kind: 'truncate' };
  const json = JSON_TYPE.exec(type)?.[1];
  if (json === 'TRUNCATE') return { kind: 'truncate' };
  if (json !== undefined) {
    const { pkey } = JSON.parse(type) as { pkey?: string[] };
    return { kind: 'row', format: 'json', operation: LETTERS[json[0]!]!, key: named(pkey ?? []) };
  }
  const [, letter, key] = ROW_TYPE.exec(type) ?? [];
  if (letter === undefined) return { kind: 'system' };
  if (key === undefined) return { kind: 'row', format: 'sql', operation: LETTERS[letter]!, key: [] };
  return { kind: 'row', format: 'urlencoded', operation: LETTERS[letter]!, key: named(key.split(',')) };
}

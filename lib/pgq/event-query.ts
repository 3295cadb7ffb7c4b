import type pg from 'pg';
import type { Client } from '../postgres/connect.ts';
import type { EventRow } from './event.ts';

/** The messages of pg's protocol reader that matter here. */
interface RowDescription {
  fields: { name: string }[];
}
interface DataRow {
  fields: (string | null)[];
}

/** The rows of one statement, as the server wrote them. */
export interface TextRows {
  columns: string[];
  rows: (string | null)[][];
}

interface Settle {
  resolve: (results: TextRows[]) => void;
  reject: (error: Error) => void;
}

/**
 * Statements whose rows are kept as text. pg's own query class parses every field by its type and builds an object of each
 * row; events parse what is asked for.
 */
class TextQuery implements pg.Submittable {
  readonly #text: string;
  readonly #results: TextRows[] = [];
  readonly #settle: Settle;
  #rows: (string | null)[][] = [];
  #error: Error | undefined;

  constructor(text: string, settle: Settle) {
    this.#text = text;
    this.#settle = settle;
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#text);
  }

  handleRowDescription({ fields }: RowDescription): void {
    this.#rows = [];
    this.#results.push({ columns: fields.map((field) => field.name), rows: this.#rows });
  }

  handleDataRow({ fields }: DataRow): void {
    this.#rows.push(fields);
  }

  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}

  handleError(error: Error): void {
    this.#error = error;
    this.#settle.reject(error);
  }

  handleReadyForQuery(): void {
    if (!this.#error) this.#settle.resolve(this.#results);
  }
}

/** Runs statements in one message; the rows of those that have rows, in their order. */
export const queryText = (client: Client, text: string): Promise<TextRows[]> =>
  new Promise((resolve, reject) => {
    client.query(new TextQuery(text, { resolve, reject }));
  });

/** Runs statements of which the last one answers with events. */
export async function queryEvents(client: Client, text: string): Promise<EventRow[]> {
  return (await queryText(client, text)).at(-1)!.rows as unknown as EventRow[];
}

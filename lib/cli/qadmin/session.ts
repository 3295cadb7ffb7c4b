import type pg from 'pg';
import { SkytoolsError } from '../../platform/errors.ts';
import { connect, disconnect } from '../../postgres/connect.ts';
import { type ConnectionTarget, parseTarget } from '../../postgres/target.ts';

/** A server's answer with every value as the text it sent. */
export interface TextResult {
  columns: string[];
  rows: (string | null)[][];
  /** What the server did, in its words: `SELECT 1`, `CREATE TABLE`. */
  commandTag: string;
}

/** What a connection is to. */
export interface ServerFacts {
  database: string;
  serverVersion: string;
  /** `<none>` where PgQ is not installed. */
  pgqVersion: string;
}

const AS_TEXT = { getTypeParser: () => (value: string) => value };

/** A console's connection and its default queue. Every statement commits by itself. */
export class QadminSession {
  readonly environment: NodeJS.ProcessEnv;
  queue: string | undefined;
  facts: ServerFacts = { database: '', serverVersion: '', pgqVersion: '<none>' };
  #target: ConnectionTarget;
  #client: pg.Client | undefined;

  constructor(target: ConnectionTarget, queue: string | undefined, environment: NodeJS.ProcessEnv) {
    this.#target = target;
    this.queue = queue;
    this.environment = environment;
  }

  get client(): pg.Client {
    if (this.#client) return this.#client;
    throw new SkytoolsError('QADMIN_NOT_CONNECTED', 'not connected', { hint: 'use connect dbname=…;' });
  }

  /** The default queue, or the one named. @throws SkytoolsError QADMIN_NO_QUEUE */
  needQueue(named: string | undefined, message = 'No queue specified'): string {
    const queue = named ?? this.queue;
    if (queue === undefined) {
      throw new SkytoolsError('QADMIN_NO_QUEUE', message, { hint: 'name it, or connect queue=…;' });
    }
    return queue;
  }

  /** Opens the first connection, or another one; the old one stays if that fails. */
  async open(target: ConnectionTarget = this.#target): Promise<void> {
    const client = await connect(target, { applicationName: 'qadmin' });
    await this.close();
    this.#client = client;
    this.#target = target;
    this.facts = await readFacts(client);
  }

  /** A target made of these parts only, as `connect` and a node's location give them. */
  target(text: string): ConnectionTarget {
    return parseTarget(text, this.environment);
  }

  async close(): Promise<void> {
    if (this.#client) await disconnect(this.#client);
    this.#client = undefined;
  }

  async query(text: string, values?: unknown[]): Promise<TextResult> {
    let commandTag = '';
    // a result keeps the first word of it only
    const complete = (message: { text: string }) => {
      commandTag = message.text;
    };
    const { client } = this;
    client.connection.on('commandComplete', complete);
    try {
      const result = await client.query({
        text,
        ...(values ? { values } : {}),
        rowMode: 'array',
        types: AS_TEXT as never,
      });
      return {
        columns: result.fields.map((field) => field.name),
        rows: result.rows as unknown as (string | null)[][],
        commandTag,
      };
    } finally {
      client.connection.off('commandComplete', complete);
    }
  }

  /** The first column of the first row. */
  async value(text: string, values?: unknown[]): Promise<string | null | undefined> {
    return (await this.query(text, values)).rows[0]?.[0];
  }
}

async function readFacts(client: pg.Client): Promise<ServerFacts> {
  const { rows } = await client.query<{ database: string; version: string; has_pgq: boolean }>(
    `select current_database()::text as database, current_setting('server_version') as version,
            exists(select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
                    where n.nspname = 'pgq' and p.proname = 'version') as has_pgq`,
  );
  const { database, version, has_pgq } = rows[0]!;
  const pgq = has_pgq
    ? (await client.query<{ version: string | null }>('select pgq.version() as version')).rows[0]?.version
    : null;
  return { database, serverVersion: version, pgqVersion: pgq ?? '<none>' };
}

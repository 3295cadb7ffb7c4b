import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import { OWNER, TEMPLATE } from './template.ts';

/** A database of its own for one test or one file. */
export interface TestDatabase {
  readonly name: string;
  /** URL as the owner, who is not a superuser; through PgBouncer where the run asks for it. */
  readonly url: string;
  /** URL as the owner, past any pooler: for what sessions are for. */
  readonly directUrl: string;
  /** URL as the superuser, past any pooler. */
  readonly superuserUrl: string;
  /** A pooled query as the owner. */
  query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    text: string,
    values?: unknown[],
  ): Promise<Row[]>;
  /** A connection of its own (as the owner unless another user is named), closed with the database. */
  connect(user?: string): Promise<pg.Client>;
  /** The same past any pooler: for tests of what belongs to a session (SET, notices, the server's process). */
  session(user?: string): Promise<pg.Client>;
  /** Until no other transaction is open here: the server rolls back what a killed client left, but a moment later. */
  quiet(): Promise<void>;
  /** Closes every connection and drops the database. */
  drop(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** `template` (default) has every schema installed; `empty` has none. */
  from?: 'template' | 'empty';
  /** Owner of the database; default {@link OWNER}. A template clone keeps the objects of the default owner. */
  owner?: string;
}

let counter = 0;

/** Creates a database. Call `drop()` in afterAll, or use {@link testDatabase} inside one test. */
export async function createDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const serverUrl = inject('postgresUrl');
  const owner = options.owner ?? OWNER;
  const name = `t_${process.pid}_${++counter}_${Date.now().toString(36)}`;
  const template = options.from === 'empty' ? 'template0' : TEMPLATE;
  await asSuperuser(
    serverUrl,
    `create database ${name} template ${template} owner ${pg.escapeIdentifier(owner)}`,
  );

  const urlOf = (user: string, at = inject('poolerUrl') ?? serverUrl) => {
    const url = new URL(at);
    url.username = encodeURIComponent(user);
    url.pathname = `/${name}`;
    return url.href;
  };
  const pool = new pg.Pool({ connectionString: urlOf(owner), max: 4 });
  pool.on('error', () => {});
  const clients = new Set<pg.Client>();
  const open = async (connectionString: string) => {
    const client = new pg.Client({ connectionString });
    client.on('error', () => {});
    await client.connect();
    clients.add(client);
    return client;
  };
  return {
    name,
    url: urlOf(owner),
    directUrl: urlOf(owner, serverUrl),
    superuserUrl: urlOf('postgres', serverUrl),
    query: async <Row extends pg.QueryResultRow>(text: string, values?: unknown[]) =>
      (await pool.query<Row>(text, values)).rows,
    connect: (user = owner) => open(urlOf(user)),
    session: (user = owner) => open(urlOf(user, serverUrl)),
    quiet: async () => {
      const open = `select from pg_stat_activity where datname = current_database() and xact_start is not null
                       and backend_type = 'client backend' and pid <> pg_backend_pid()`;
      while ((await pool.query(open)).rowCount! > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    drop: async () => {
      await pool.end();
      await Promise.allSettled([...clients].map((client) => client.end()));
      await asSuperuser(serverUrl, `drop database if exists ${name} with (force)`);
    },
  };
}

/** A database for the current test, dropped when the test is finished. */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const database = await createDatabase(options);
  onTestFinished(() => database.drop());
  return database;
}

/** Runs one statement as the superuser of the server (create roles, settings, other databases). */
export async function asSuperuser(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const startedAt = performance.now(); ; ) {
      try {
        await client.query(statement);
        return;
      } catch (error) {
        // Two clones of one template at the same moment: "source database is being accessed by other users".
        if ((error as { code?: string }).code !== '55006' || performance.now() - startedAt > 60_000)
          throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  } finally {
    await client.end();
  }
}

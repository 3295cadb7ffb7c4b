import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { type EmbeddedPostgres, startPostgres, systemBinaries } from '../../lib/local/postgres.ts';

/** Debian's PostgreSQL 15 with the C extensions, or why it cannot be had. */
export function missingClassicParts(): string[] {
  const parts: Record<string, string> = {
    'postgresql-15': '/usr/lib/postgresql/15/bin/initdb',
    'postgresql-15-pgq3': '/usr/share/postgresql/15/extension/pgq.control',
    'postgresql-15-pgq-node': '/usr/share/postgresql/15/extension/pgq_node.control',
    'postgresql-15-londiste-sql': '/usr/share/postgresql/15/extension/londiste.control',
    pgqd: '/usr/bin/pgqd',
    'python3-pgq': '/usr/lib/python3/dist-packages/pgq',
  };
  return Object.keys(parts).filter((name) => !existsSync(parts[name]!));
}

/** A server with the original PgQ, and the daemons of the original that run against it. */
export class ClassicPgq {
  readonly server: EmbeddedPostgres;
  readonly #directory: string;
  readonly #children: ChildProcess[] = [];
  #logs = '';

  private constructor(server: EmbeddedPostgres, directory: string) {
    this.server = server;
    this.#directory = directory;
  }

  static async start(): Promise<ClassicPgq> {
    // It is on, or maintenance would have tables to vacuum; but it never comes, or its transactions would hold back ticks.
    const settings = { autovacuum: true, autovacuum_naptime: '20d' };
    const server = await startPostgres({ binaries: systemBinaries(15)!, settings });
    return new ClassicPgq(server, await mkdtemp(path.join(tmpdir(), 'skytools-classic-')));
  }

  /** What the daemons printed. */
  get logs(): string {
    return this.#logs;
  }

  /** A connection to a new database, empty or like another one that nobody is connected to. */
  async database(name: string, template = 'template1'): Promise<pg.Client> {
    const admin = new pg.Client({ connectionString: this.server.url() });
    await admin.connect();
    await admin.query(`create database ${name} template ${template}`);
    await admin.end();
    return this.connect(name);
  }

  async connect(name: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.server.url(name) });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** The original ticker, ticking ten times a second. */
  async startPgqd(database: string): Promise<void> {
    const { host, port } = this.server;
    const file = path.join(this.#directory, 'pgqd.ini');
    await writeFile(
      file,
      `[pgqd]\nbase_connstr = host=${host} port=${port} user=postgres\ndatabase_list = ${database}\nsyslog = 0\n` +
        'ticker_period = 0.1\nmaint_period = 0.5\nretry_period = 0.5\ncheck_period = 0.5\n',
    );
    this.#spawn('/usr/bin/pgqd', [file]);
  }

  /** A consumer named `recorder` in the original's Python, which fills a table `seen`. */
  async startPythonConsumer(database: string, queue: string): Promise<void> {
    const { host, port } = this.server;
    const file = path.join(this.#directory, 'consumer.ini');
    await writeFile(
      file,
      `[recorder]\njob_name = recorder\nsource_db = host=${host} port=${port} user=postgres dbname=${database}\n` +
        `queue_name = ${queue}\nloop_delay = 0.1\nexception_sleep = 0.2\npidfile = ${this.#directory}/consumer.pid\n`,
    );
    this.#spawn('/usr/bin/python3', [path.join(import.meta.dirname, 'pgq-consumer.py'), file]);
  }

  #spawn(command: string, args: string[]): void {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const collect = (chunk: Buffer) => {
      this.#logs += chunk.toString();
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    this.#children.push(child);
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await this.server.stop('immediate');
    await rm(this.#directory, { recursive: true, force: true });
  }
}

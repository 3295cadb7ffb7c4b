import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import type pg from 'pg';
import type { Config } from '../platform/config.ts';
import { UsageError } from '../platform/errors.ts';
import type { ConnectionTarget } from '../postgres/target.ts';
import { CancelledError } from './exit.ts';
import type { Io } from './io.ts';
import type { Column } from './output.ts';

/** Options that every command has. */
export interface GlobalOptions {
  config: string;
  database?: string;
  url?: string;
  json?: boolean;
  quiet?: boolean;
  color: boolean;
}

/** A database as the command line named it. */
export interface ChosenDatabase {
  /** Its name in the configuration, or the database's own name if it came from elsewhere. */
  name: string;
  target: ConnectionTarget;
}

/** libpq's variables that name a server: any of them wins over the configuration file. */
const PG_VARIABLES = ['PGSERVICE', 'PGHOST', 'PGDATABASE', 'PGPORT'];

/** What an action works with: the chosen database, output in the chosen form, questions. One per command run. */
export class CommandContext {
  readonly options: GlobalOptions;
  readonly io: Io;
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal;
  readonly #clients: pg.Client[] = [];
  #config: Promise<Config> | undefined;

  constructor(options: GlobalOptions, io: Io, signal: AbortSignal) {
    this.options = options;
    this.io = io;
    this.signal = signal;
  }

  get color(): boolean {
    return this.options.color && !this.options.json && this.io.stdout.isTTY === true && !this.io.env.NO_COLOR;
  }

  get json(): boolean {
    return this.options.json === true;
  }

  /** The configuration file, read once. @throws UsageError CONFIG_NOT_FOUND, CONFIG_INVALID */
  config(): Promise<Config> {
    this.#config ??= import('../platform/config-file.ts').then(({ loadConfigFile }) =>
      loadConfigFile(this.options.config),
    );
    return this.#config;
  }

  /** The database chosen by --url, --database, libpq's variables, or the only one configured, in this order. */
  async target(): Promise<ChosenDatabase> {
    const { parseTarget } = await import('../postgres/target.ts');
    const { url, database } = this.options;
    if (url !== undefined && database !== undefined) {
      throw new UsageError('CLI_TWO_DATABASES', '--url and --database exclude each other', {
        hint: 'give one of them',
      });
    }
    const environment = this.io.env;
    if (database !== undefined) return this.configured(database);
    if (
      url === undefined &&
      !PG_VARIABLES.some((name) => environment[name]) &&
      existsSync(this.options.config)
    ) {
      const names = Object.keys((await this.config()).databases);
      if (names.length === 1) return this.configured(names[0]!);
      throw new UsageError('CLI_WHICH_DATABASE', `${names.length} databases are configured`, {
        hint: `choose one with --database ${names.join(' | ')}`,
      });
    }
    const target = parseTarget(url ?? '', environment);
    return { name: target.database, target };
  }

  /** A database by its name in the configuration. */
  async configured(name: string): Promise<ChosenDatabase> {
    const [{ parseTarget }, { databaseConfig }, { resolveSecret }] = await Promise.all([
      import('../postgres/target.ts'),
      import('../platform/config.ts'),
      import('../platform/secrets.ts'),
    ]);
    const text = await resolveSecret(databaseConfig(await this.config(), name).url);
    return { name, target: parseTarget(text, this.io.env) };
  }

  /** A connection to the chosen database, closed when the command ends. */
  async connect(chosen?: ChosenDatabase): Promise<pg.Client> {
    const { name, target } = chosen ?? (await this.target());
    const { connect } = await import('../postgres/connect.ts');
    const client = await connect(target, {
      applicationName: 'skytools cli',
      ...(chosen || this.options.database ? { subject: { database: name } } : {}),
    });
    this.#clients.push(client);
    return client;
  }

  /** Closes what the command opened. */
  async close(): Promise<void> {
    if (this.#clients.length === 0) return;
    const { disconnect } = await import('../postgres/connect.ts');
    await Promise.all(this.#clients.splice(0).map(disconnect));
  }

  /** Data, on stdout. */
  write(text: string): void {
    this.io.stdout.write(text);
  }

  /** A message for people, on stderr; silent with --quiet. */
  note(text: string): void {
    if (!this.options.quiet) this.io.stderr.write(`${text}\n`);
  }

  warn(text: string): void {
    const label = this.io.stderr.isTTY && this.options.color ? styleText('yellow', 'warning:') : 'warning:';
    this.io.stderr.write(`${label} ${text}\n`);
  }

  /** Rows as a table, or as a JSON array. */
  async table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], empty?: string): Promise<void> {
    const { formatTable, toJson } = await import('./output.ts');
    if (this.json) return this.write(`${toJson(rows)}\n`);
    if (rows.length === 0 && empty !== undefined) return this.note(empty);
    this.write(
      formatTable(rows, columns, { form: this.io.stdout.isTTY ? 'box' : 'plain', color: this.color }),
    );
  }

  /** One object: `name  value` lines, or a JSON object. */
  async record(value: object, pairs: readonly (readonly [string, unknown])[]): Promise<void> {
    const { formatRecord, toJson } = await import('./output.ts');
    this.write(this.json ? `${toJson(value)}\n` : formatRecord(pairs));
  }

  /** What was done: a JSON object on stdout with --json, otherwise a message on stderr. */
  async done(result: object, message: string): Promise<void> {
    if (!this.json) return this.note(message);
    const { toJson } = await import('./output.ts');
    this.write(`${toJson(result)}\n`);
  }

  /**
   * Asks before something is destroyed or changed for good.
   *
   * @param yes the command's --yes
   * @throws UsageError CLI_NEEDS_YES where nobody can be asked; CancelledError if the answer is not yes
   */
  async confirm(question: string, yes: boolean | undefined): Promise<void> {
    if (yes) return;
    if (!this.io.stdin.isTTY || this.json) {
      throw new UsageError('CLI_NEEDS_YES', `${question} nobody can be asked here`, {
        hint: 'give --yes to go ahead, or --dry-run to see what would be done',
      });
    }
    const prompt = createInterface({ input: this.io.stdin, output: this.io.stderr });
    try {
      const answer = await prompt.question(`${question} [y/N] `, { signal: this.signal });
      if (!/^y(es)?$/i.test(answer.trim())) throw new CancelledError('not confirmed');
    } finally {
      prompt.close();
    }
  }
}

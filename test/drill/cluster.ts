import { execFileSync } from 'node:child_process';
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { type EmbeddedPostgres, startPostgres } from '../../lib/local/postgres.ts';
import { giveToPostgres, until } from '../support/cluster.ts';

type Settings = Record<string, string | number | boolean>;

/**
 * A PostgreSQL cluster behind one address that survives restarts and fail-overs. While a standby is attached, commits wait
 * for it, so that a fail-over loses none that was acknowledged.
 */
export class DrillCluster {
  /** Where the primary is now; a proxy that dials it for each connection follows. */
  readonly address: { host: string; port: number };
  readonly #directory: string;
  readonly #settings: Settings;
  #generation = 0;
  #primary: EmbeddedPostgres;
  #standby: EmbeddedPostgres | undefined;

  private constructor(directory: string, settings: Settings, primary: EmbeddedPostgres) {
    this.#directory = directory;
    this.#settings = settings;
    this.#primary = primary;
    this.address = { host: primary.host, port: primary.port };
  }

  /** @param directory must exist, and be one that PostgreSQL's account may enter */
  static async start(directory: string, settings: Settings = {}): Promise<DrillCluster> {
    const primary = await startPostgres({ dataDirectory: path.join(directory, 'data-0'), settings });
    return new DrillCluster(directory, settings, primary);
  }

  get primary(): EmbeddedPostgres {
    return this.#primary;
  }

  get hasStandby(): boolean {
    return this.#standby !== undefined;
  }

  /** Runs statements on the primary, past every proxy. */
  async query<Row extends pg.QueryResultRow>(text: string, database = 'postgres'): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.#primary.url(database) });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** `immediate` is a crash. */
  async restart(mode: 'fast' | 'immediate'): Promise<void> {
    await this.#primary.halt(mode);
    await this.#startPrimary();
  }

  async #startPrimary(): Promise<void> {
    const { dataDirectory, port } = this.#primary;
    this.#primary = await startPostgres({ dataDirectory, port, settings: this.#settings });
  }

  /** Copies the primary while it is stopped and starts the copy as its standby. */
  async attachStandby(): Promise<void> {
    await this.#primary.halt('fast');
    const copy = path.join(this.#directory, `data-${++this.#generation}`);
    execFileSync('cp', ['-a', this.#primary.dataDirectory, copy]);
    writeFileSync(path.join(copy, 'standby.signal'), '');
    appendFileSync(
      path.join(copy, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=127.0.0.1 port=${this.#primary.port} user=postgres'\n`,
    );
    giveToPostgres(copy);
    await this.#startPrimary();
    this.#standby = await startPostgres({ dataDirectory: copy, settings: this.#settings });
    await this.query(`alter system set synchronous_standby_names = '*'`);
    await this.query('select pg_reload_conf()');
    await until('the standby', async () => {
      const rows = await this.query(`select from pg_stat_replication where sync_state = 'sync'`);
      return rows.length > 0;
    });
  }

  /** The primary crashes and never comes back; the standby takes over its address. */
  async failOver(): Promise<void> {
    const [old, next] = [this.#primary, this.#standby];
    if (!next) throw new Error('there is no standby to fail over to');
    await old.halt('immediate');
    this.#primary = next;
    this.#standby = undefined;
    await this.query('alter system reset synchronous_standby_names');
    await this.query('select pg_reload_conf()');
    await this.query('select pg_promote(true, 60)');
    await this.query('checkpoint');
    this.address.port = next.port;
    rmSync(old.dataDirectory, { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.#standby?.halt('immediate');
    await this.#primary.halt('immediate');
  }
}

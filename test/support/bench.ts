import pg from 'pg';
import { composeSchema } from '../../infra/build/sql.ts';
import { type EmbeddedPostgres, startPostgres, systemBinaries } from '../../lib/local/postgres.ts';

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Milliseconds that the body takes. */
export async function timed(body: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await body();
  return performance.now() - start;
}

/** One server (Debian's PostgreSQL 15) with two databases: `c` has the C extension pgq, `ours` our SQL. */
export interface Comparison {
  server: EmbeddedPostgres;
  c: pg.Client;
  ours: pg.Client;
  stop(): Promise<void>;
}

/**
 * Starts it. The machine needs the packages postgresql-15 and postgresql-15-pgq3.
 *
 * @param settings beside those of a private server, which does not sync to disk unless `durable`
 */
export async function startComparison(
  options: { durable?: boolean; settings?: Record<string, string | number> } = {},
): Promise<Comparison> {
  const server = await startPostgres({
    binaries: systemBinaries(15)!,
    durable: options.durable ?? false,
    settings: { shared_buffers: '512MB', max_locks_per_transaction: 1024, ...options.settings },
  });
  const connect = async (database: string) => {
    const client = new pg.Client({ connectionString: server.url(database) });
    await client.connect();
    return client;
  };
  const admin = await connect('postgres');
  await admin.query('create database c');
  await admin.query('create database ours');
  await admin.end();
  const c = await connect('c');
  await c.query('create extension pgq');
  const ours = await connect('ours');
  await ours.query(`begin; ${composeSchema('skytools')} ${composeSchema('pgq')} commit;`);
  return {
    server,
    c,
    ours,
    stop: async () => {
      await Promise.all([c.end(), ours.end()]);
      await server.stop('immediate');
    },
  };
}

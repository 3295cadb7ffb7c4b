import type { TestProject } from 'vitest/node';
import { embeddedBinaries, startPostgres } from '../../lib/local/postgres.ts';
import { startPgBouncer } from './pgbouncer.ts';
import { installTemplate } from './template.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string;
    /** The same server through PgBouncer in transaction mode, where SKYTOOLS_TEST_PGBOUNCER=1 asks for it. */
    poolerUrl: string | undefined;
    postgresMajor: number;
  }
}

/** One server for all test files of a run; each test file clones databases from the template made here. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const major = Number(process.env.SKYTOOLS_TEST_PG ?? 18);
  const server = await startPostgres({
    binaries: embeddedBinaries(major),
    settings: {
      max_prepared_transactions: 20,
      // It is on, or maintenance would have tables to vacuum; but it never comes, or its locks would be in the way of a test now
      // and then, and its transactions would hold back ticks.
      autovacuum: true,
      autovacuum_naptime: '20d',
    },
  });
  await installTemplate(server.url());
  project.provide('postgresUrl', server.url());
  project.provide('postgresMajor', major);
  const bouncer =
    process.env.SKYTOOLS_TEST_PGBOUNCER === '1'
      ? await startPgBouncer({ port: server.port, user: 'postgres' })
      : undefined;
  project.provide('poolerUrl', bouncer && server.url().replace(`:${server.port}/`, `:${bouncer.port}/`));
  return async () => {
    await bouncer?.stop();
    await server.stop('immediate');
  };
}

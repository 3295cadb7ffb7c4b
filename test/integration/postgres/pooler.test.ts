import { describe, expect, inject, it } from 'vitest';
import { connect, disconnect } from '../../../lib/postgres/connect.ts';
import { transaction } from '../../../lib/postgres/transaction.ts';
import { until } from '../../support/cluster.ts';
import { testDatabase } from '../../support/postgres.ts';

// The run with SKYTOOLS_TEST_PGBOUNCER=1 is worth nothing if the pooler were not there, or kept a session together.
describe.runIf(inject('poolerUrl'))('the pooler of this run', () => {
  const PID = 'select pg_backend_pid() as pid';

  it('serves one client from several servers, and one transaction from one', async () => {
    const database = await testDatabase();
    const client = await connect(database.url);
    const pids = new Set<number>();
    // PgBouncer fills its pool a moment after the first client came.
    await until('a second server', async () => {
      pids.add((await client.query(PID)).rows[0].pid);
      return pids.size > 1;
    });
    const inside = await transaction(client, async () => [
      (await client.query(PID)).rows[0].pid,
      (await client.query(PID)).rows[0].pid,
    ]);
    expect(inside[0]).toBe(inside[1]);
    await disconnect(client);
  });

  it('refuses what only a session could keep', async () => {
    const database = await testDatabase();
    await expect(connect(database.url, { settings: { search_path: 'elsewhere' } })).rejects.toMatchObject({
      code: expect.stringMatching(/^PG_/),
    });
  });
});

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Config } from '../../../lib/platform/config.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { migrate } from '../../../lib/schema/migrate.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

/* What the function `migrate` does, which is a part of every deployment. */

const VERSION = '1.2.3';

const configOf = (urls: Record<string, string>): Config =>
  parseConfig({
    databases: Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, { url }])),
  });

const hasPgq = async (database: TestDatabase) =>
  (await database.query(`select from pg_namespace where nspname = 'pgq_coop'`)).length === 1;

describe('migrate', () => {
  it('installs into every configured database, and finds nothing to do the second time', async () => {
    const [app, stats] = [await testDatabase({ from: 'empty' }), await testDatabase({ from: 'empty' })];
    const config = configOf({ app: app.url, stats: stats.url });
    const fresh = { changed: true, kind: 'fresh', warnings: [] };
    expect(await migrate(config, {}, VERSION)).toMatchObject({
      version: VERSION,
      migrations: [
        { database: 'app', ...fresh },
        { database: 'stats', ...fresh },
      ],
    });
    await app.query(`select pgq.create_queue('orders')`);
    const again = await migrate(config, {}, VERSION);
    expect(again.migrations).toMatchObject([
      {
        database: 'app',
        changed: false,
        kind: 'current',
        steps: [`nothing to do: version ${VERSION} is installed`],
      },
      { database: 'stats', changed: false, kind: 'current' },
    ]);
    expect(await app.query('select queue_name from pgq.get_queue_info()')).toEqual([
      { queue_name: 'orders' },
    ]);
  });

  it('of two databases, one of which cannot be reached: the other one is done, and the failure says which and why', async () => {
    const app = await testDatabase({ from: 'empty' });
    // Nobody listens on the port of tcpmux.
    const config = configOf({ gone: 'postgres://owner:a-password@127.0.0.1:1/gone', app: app.url });
    const failure = await migrate(config, {}, VERSION).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'MIGRATE_FAILED',
      message: expect.stringMatching(/^1 of 2 databases not migrated: gone: /),
    });
    expect(JSON.stringify([failure, (failure as Error).message])).not.toContain('a-password');
    expect(await hasPgq(app)).toBe(true);
    // Invoked again when it is mended: what is done is not done again.
    const mended = await testDatabase({ from: 'empty' });
    const { migrations } = await migrate(configOf({ gone: mended.url, app: app.url }), {}, VERSION);
    expect(migrations).toMatchObject([
      { database: 'gone', changed: true },
      { database: 'app', changed: false },
    ]);
  });

  it('replaces a running PgQ only where it is told to', async () => {
    const old = await testDatabase({ from: 'empty' });
    await old.query(readFileSync(path.join(import.meta.dirname, '../../support/pgq-2.1.sql'), 'utf8'));
    const config = configOf({ old: old.url });
    await expect(migrate(config, {}, VERSION)).rejects.toMatchObject({
      code: 'MIGRATE_FAILED',
      message: expect.stringMatching(/old: a running pgq would be replaced: .*"takeOver":true/s),
    });
    expect(await hasPgq(old)).toBe(false);
    expect(await migrate(config, { takeOver: true }, VERSION)).toMatchObject({
      migrations: [{ database: 'old', changed: true, kind: 'upgrade-pgq-2' }],
    });
    expect(await hasPgq(old)).toBe(true);
  });

  it('does the databases that it is given, and refuses a name that is not configured before it does any', async () => {
    const [app, stats] = [await testDatabase({ from: 'empty' }), await testDatabase({ from: 'empty' })];
    const config = configOf({ app: app.url, stats: stats.url });
    await expect(migrate(config, { databases: ['app', 'nowhere'] }, VERSION)).rejects.toMatchObject({
      code: 'CONFIG_UNKNOWN_DATABASE',
    });
    expect(await hasPgq(app)).toBe(false);
    const { migrations } = await migrate(config, { databases: ['stats'] }, VERSION);
    expect(migrations.map(({ database }) => database)).toEqual(['stats']);
    expect([await hasPgq(app), await hasPgq(stats)]).toEqual([false, true]);
  });
});

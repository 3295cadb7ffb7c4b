import { describe, expect, it } from 'vitest';
import { createdNames, installSql, joinFiles, splitFiles } from '../../../lib/schema/compose.ts';
import type { DatabaseState } from '../../../lib/schema/inspect.ts';
import { planInstall } from '../../../lib/schema/plan.ts';

const EMPTY: DatabaseState = {
  serverVersion: 180_000,
  encoding: 'UTF8',
  database: 'shop',
  user: 'me',
  superuser: false,
  mayCreateRoles: true,
  mayCreateSchemas: true,
  inRecovery: false,
  schemas: [],
  extensions: [],
  installed: undefined,
  drift: [],
  unrecorded: false,
  plainPgq: undefined,
  missingRoles: ['pgq_admin'],
  notOwned: [],
  queues: 0,
  consumers: 0,
  openBatches: 0,
  retryEvents: 0,
  triggers: [],
};

const plan = (state: Partial<DatabaseState>) => planInstall({ ...EMPTY, ...state }, '2.0.0', 'sum');
const installed = (checksum: string) => ({ version: '1.0.0', checksum, installedAt: new Date() });

describe('plan of an install', () => {
  it.each<[string, Partial<DatabaseState>, string, boolean]>([
    ['an empty database', {}, 'fresh', false],
    ['this version', { installed: installed('sum') }, 'current', false],
    ['another version', { installed: installed('other') }, 'upgrade', false],
    ['SQL run by hand', { unrecorded: true }, 'upgrade', false],
    ['the C extension', { extensions: [{ name: 'pgq', version: '3.5' }] }, 'take-over', true],
    [
      'an extension made after us',
      { installed: installed('sum'), extensions: [{ name: 'pgq', version: '3.5' }] },
      'take-over',
      true,
    ],
    ['PgQ 2.1', { plainPgq: '2.1' }, 'upgrade-pgq-2', true],
    ['PgQ 3 without extension', { plainPgq: '3' }, 'replace-pgq-3', true],
  ])('on %s', (_name, state, kind, asks) => {
    expect(plan(state)).toMatchObject({ kind, needsConfirmation: asks, missing: [] });
  });

  it('lists every missing right at once, with what to do', () => {
    const many = Array.from({ length: 7 }, (_, n) => ({
      kind: 'function' as const,
      name: `f${n}`,
      owner: 'boss',
    }));
    const { missing } = plan({
      serverVersion: 130_004,
      inRecovery: true,
      mayCreateSchemas: false,
      notOwned: [{ kind: 'schema', name: 'pgq', owner: 'boss' }, ...many],
    });
    expect(missing).toEqual([
      'PostgreSQL 14 or newer; this server is 13',
      'a server that accepts writes; this one is a standby',
      'CREATE on database shop: grant create on database "shop" to "me"',
      'ownership of schema pgq: run as boss or a superuser',
      'ownership of function f0, f1, f2, f3, f4 and 2 more: run as boss or a superuser',
    ]);
  });

  it('warns of a database whose url-encoded rows consumers would refuse', () => {
    expect(plan({ encoding: 'LATIN1' }).warnings).toEqual([expect.stringMatching(/LATIN1.*jsontriga/)]);
  });

  it('only warns of roles that it may not create', () => {
    expect(plan({}).warnings).toEqual([]);
    expect(plan({ mayCreateRoles: false }).warnings[0]).toContain('pgq_admin');
  });
});

describe('the SQL to install', () => {
  it('can be taken apart again into its files, so that the package needs one file', () => {
    const sql = installSql();
    expect(splitFiles(sql.text)).toEqual(sql.files);
    expect(joinFiles(splitFiles(sql.text))).toBe(sql.text);
  });

  it('takes the lock and the take-over first', () => {
    expect(installSql().files[0]?.path).toBe('sql/skytools/lock.sql');
  });

  it('has no transaction commands, no psql commands, and names what it creates', () => {
    for (const file of installSql().files) {
      expect(file.text, file.path).not.toMatch(/^\s*(begin|commit|rollback|start transaction)\s*;/im);
      expect(file.text, file.path).not.toMatch(/^\\\w/m);
    }
    expect(createdNames(installSql(), 'function')).toContain('pgq.insert_event');
    expect(createdNames(installSql(), 'relation')).toContain('pgq.queue');
  });
});

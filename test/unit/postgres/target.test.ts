import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeTarget, parseTarget } from '../../../lib/postgres/target.ts';

describe('a connect string', () => {
  it('is read as a URL', () => {
    expect(
      parseTarget('postgres://me:p%40ss@db.example.com:6432/my%20db?sslmode=verify-full&connect_timeout=3'),
    ).toMatchObject({
      host: 'db.example.com',
      port: 6432,
      database: 'my db',
      user: 'me',
      password: 'p@ss',
      sslmode: 'verify-full',
      connectTimeoutSeconds: 3,
    });
  });

  it("is read in libpq's form, with quotes and escapes", () => {
    expect(
      parseTarget("host=h port = 5433 dbname='my db' user=me password='it\\'s \\\\ secret'"),
    ).toMatchObject({
      host: 'h',
      port: 5433,
      database: 'my db',
      password: "it's \\ secret",
    });
    expect(parseTarget('mydb').database).toBe('mydb');
  });

  it('is completed from PG* variables and a service file, in that order of weight', () => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'skytools-service-')), 'services');
    writeFileSync(file, '# comment\n[other]\nhost=no\n[mine]\nhost=from-service\nport=7000\n');
    const environment = { PGSERVICEFILE: file, PGHOST: 'from-env', PGUSER: 'env-user' };
    expect(parseTarget('service=mine user=given', environment)).toMatchObject({
      host: 'from-service',
      port: 7000,
      user: 'given',
    });
    expect(parseTarget('', environment)).toMatchObject({
      host: 'from-env',
      user: 'env-user',
      database: 'env-user',
    });
  });

  it.each(['postgres://me:secret@host:port/db', 'host=h secret', 'host=h port=99999 password=secret'])(
    'that is wrong is refused without showing the password: %s',
    (text) => {
      expect(() => parseTarget(text)).toThrowError(
        expect.objectContaining({
          code: 'DATABASE_URL_INVALID',
          message: expect.not.stringContaining('secret'),
        }),
      );
    },
  );

  it('is described without its password', () => {
    expect(describeTarget(parseTarget('postgres://me:secret@h/db'))).toBe('me@h:5432/db');
  });
});

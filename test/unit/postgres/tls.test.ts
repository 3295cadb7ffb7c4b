import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { RDS_ROOTS, rdsRoots } from '../../../infra/build/rds-roots.ts';
import { parseTarget } from '../../../lib/postgres/target.ts';
import { tlsAttempts } from '../../../lib/postgres/tls.ts';

const attempts = (text: string) => tlsAttempts(parseTarget(text));
const only = (text: string) => attempts(text)[0] as ConnectionOptions;
const HOST = 'postgres://db.example.com/x';
const verified = { rejectUnauthorized: true, checkServerIdentity: expect.any(Function) };

describe('TLS', () => {
  it('is verified in full for every host but the own machine, unless sslmode says otherwise', () => {
    expect(attempts(HOST)).toEqual([verified]);
    expect(attempts('postgres://127.0.0.1/x')).toEqual([false]);
    expect(attempts('host=/var/run/postgresql')).toEqual([false]);
    expect(attempts('postgres://127.0.0.1/x?sslmode=verify-full')).toEqual([verified]);
  });

  it('follows sslmode as libpq does', () => {
    const unverified = { rejectUnauthorized: false };
    expect(attempts(`${HOST}?sslmode=disable`)).toEqual([false]);
    expect(attempts(`${HOST}?sslmode=allow`)).toEqual([false, unverified]);
    expect(attempts(`${HOST}?sslmode=prefer`)).toEqual([unverified, false]);
    expect(attempts(`${HOST}?sslmode=require`)).toEqual([unverified]);
    expect(attempts(`${HOST}?sslmode=no-verify`)).toEqual([unverified]);
    expect(attempts(`${HOST}?sslmode=verify-ca`)).toEqual([verified]);
    expect(() => attempts(`${HOST}?sslmode=maybe`)).toThrow(/sslmode/);
    expect(() => attempts(`${HOST}?sslmode=require&sslrootcert=system`)).toThrow(/verify-full/);
    expect(() => attempts(`${HOST}?sslrootcert=/nowhere.pem`)).toThrow(/cannot be read/);
  });

  it('compares the certificate with the host that was asked for, an IP address included', () => {
    const check = (mode: string, host: string, subjectaltname: string) => {
      const tls = only(`postgres://${host}/x?sslmode=${mode}`);
      return tls.checkServerIdentity?.('localhost', { subjectaltname, subject: {} } as never);
    };
    expect(check('verify-full', 'db.example.com', 'DNS:db.example.com')).toBeUndefined();
    expect(check('verify-full', 'db.example.com', 'DNS:localhost')).toBeInstanceOf(Error);
    expect(check('verify-full', '10.0.0.1', 'DNS:localhost')).toBeInstanceOf(Error);
    expect(check('verify-full', '10.0.0.1', 'IP Address:10.0.0.1')).toBeUndefined();
    expect(check('verify-ca', 'db.example.com', 'DNS:localhost')).toBeUndefined();
  });

  it('knows the roots of RDS, so that even require verifies there', () => {
    const rds = 'postgres://x.abc.eu-west-1.rds.amazonaws.com/x';
    for (const mode of ['', '?sslmode=require', '?sslmode=verify-ca']) {
      const tls = only(rds + mode);
      expect(tls).toMatchObject({ rejectUnauthorized: true });
      expect([tls.ca].flat().join('')).toContain('Amazon RDS eu-west-1 Root CA RSA2048 G1');
    }
    expect(attempts('postgres://rds.amazonaws.com.example.org/x')).toEqual([verified]);
  });

  it('has the roots that Amazon publishes, beside every bundle that connects', () => {
    expect(readFileSync(RDS_ROOTS, 'utf8')).toBe(rdsRoots());
    expect(path.basename(RDS_ROOTS)).toBe('rds-roots.pem');
  });
});

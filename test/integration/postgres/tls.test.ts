import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EmbeddedPostgres, startPostgres } from '../../../lib/local/postgres.ts';
import { connect, disconnect } from '../../../lib/postgres/connect.ts';
import { giveToPostgres } from '../../support/cluster.ts';

const CERTIFICATES = path.resolve(import.meta.dirname, '../../support/tls');
const ours = path.join(CERTIFICATES, 'authority.pem');
const stranger = path.join(CERTIFICATES, 'stranger.pem');

let directory: string;
const servers: EmbeddedPostgres[] = [];

/** A server with one of the certificates, or without TLS. */
async function start(certificate?: string): Promise<EmbeddedPostgres> {
  const server = await startPostgres({
    settings: certificate
      ? {
          ssl: 'on',
          ssl_cert_file: path.join(directory, `${certificate}.pem`),
          ssl_key_file: path.join(directory, `${certificate}.key`),
        }
      : {},
  });
  servers.push(server);
  return server;
}

let right: EmbeddedPostgres;
let elsewhere: EmbeddedPostgres;
let plain: EmbeddedPostgres;

beforeAll(async () => {
  directory = mkdtempSync('/tmp/skytools-tls-');
  for (const name of ['localhost', 'elsewhere']) {
    for (const kind of ['pem', 'key']) {
      copyFileSync(path.join(CERTIFICATES, `${name}.${kind}`), path.join(directory, `${name}.${kind}`));
      chmodSync(path.join(directory, `${name}.${kind}`), 0o600);
    }
  }
  chmodSync(directory, 0o755);
  giveToPostgres(directory);
  [right, elsewhere, plain] = await Promise.all([start('localhost'), start('elsewhere'), start()]);
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop('immediate')));
  rmSync(directory, { recursive: true, force: true });
});

/** Whether the connection is encrypted, or the code of what refused it. */
async function encrypted(server: EmbeddedPostgres, parameters: string, host = 'localhost'): Promise<unknown> {
  try {
    const client = await connect(`postgres://postgres@${host}:${server.port}/postgres?${parameters}`);
    const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    await disconnect(client);
    return rows[0].ssl;
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a server whose certificate is', () => {
  it('right is verified in full, by name and by address', async () => {
    expect(await encrypted(right, `sslmode=verify-full&sslrootcert=${ours}`)).toBe(true);
    expect(await encrypted(right, `sslmode=verify-full&sslrootcert=${ours}`, '127.0.0.1')).toBe(true);
  });

  it('of another authority is refused, unless it is only to be encrypted', async () => {
    for (const mode of ['verify-full', 'verify-ca', 'require'])
      expect(await encrypted(right, `sslmode=${mode}&sslrootcert=${stranger}`), mode).toMatch(
        /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET_ISSUER/,
      );
    expect(await encrypted(right, 'sslmode=verify-full')).toMatch(
      /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET/,
    );
    expect(await encrypted(right, 'sslmode=require')).toBe(true);
  });

  it('of another host is refused by verify-full alone', async () => {
    expect(await encrypted(elsewhere, `sslmode=verify-full&sslrootcert=${ours}`)).toMatch(/ALTNAME_INVALID/);
    // Node.js compares with "localhost" by default when an address was dialled.
    expect(await encrypted(elsewhere, `sslmode=verify-full&sslrootcert=${ours}`, '127.0.0.1')).toMatch(
      /ALTNAME_INVALID/,
    );
    expect(await encrypted(elsewhere, `sslmode=verify-ca&sslrootcert=${ours}`)).toBe(true);
  });

  it('not asked for, because the server knows no TLS, is missed by whoever wants it', async () => {
    for (const mode of ['require', 'verify-ca', 'verify-full'])
      expect(await encrypted(plain, `sslmode=${mode}`), mode).toMatch(/SSL/);
    expect(await encrypted(plain, 'sslmode=prefer')).toBe(false);
    expect(await encrypted(plain, 'sslmode=disable')).toBe(false);
    expect(await encrypted(right, 'sslmode=prefer')).toBe(true);
    expect(await encrypted(right, 'sslmode=allow')).toBe(false);
  });
});

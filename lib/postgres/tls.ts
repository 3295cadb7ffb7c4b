import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { type ConnectionOptions, checkServerIdentity, rootCertificates } from 'node:tls';
import { type ConnectionTarget, invalid } from './target.ts';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1|\/.*)$/;

/** Amazon signs certificates of RDS and Aurora with roots of its own, which no system trusts by default. */
const RDS = /\.rds\.amazonaws\.com(\.cn)?$/;

/** Beside this module, or beside the bundle that it became a part of (see infra/build/rds-roots.ts). */
const RDS_ROOTS = new URL('./rds-roots.pem', import.meta.url);

/** TLS options of `pg`, or false: without TLS. */
export type Tls = false | ConnectionOptions;

/**
 * How to connect, in the order in which it is tried, as libpq does by `sslmode` (its documentation, "SSL Support"): `allow`
 * and `prefer` may fall back to the other way; `require` encrypts, and verifies the authority only if there is one to verify
 * against; `verify-ca` verifies the authority, `verify-full` the host name too. Two things are stricter: without `sslmode`,
 * every host but loopback and unix sockets is verified in full; and the RDS roots are known, so `require` verifies there.
 *
 * @throws UsageError DATABASE_URL_INVALID
 */
export function tlsAttempts(target: ConnectionTarget): [Tls, ...Tls[]] {
  const { host } = target;
  const mode = target.sslmode ?? (LOOPBACK.test(host) ? 'disable' : 'verify-full');
  const unverified = { rejectUnauthorized: false };
  if (target.sslrootcert === 'system' && mode !== 'verify-full')
    throw invalid('sslrootcert=system asks for sslmode=verify-full');
  switch (mode) {
    case 'disable':
      return [false];
    case 'allow':
      return [false, unverified];
    case 'prefer':
      return [unverified, false];
    case 'no-verify':
      return [unverified];
    case 'require':
    case 'verify-ca': {
      const ca = roots(target);
      if (mode === 'require' && !ca) return [unverified];
      return [{ rejectUnauthorized: true, ...(ca ? { ca } : {}), checkServerIdentity: () => undefined }];
    }
    case 'verify-full': {
      const ca = roots(target);
      // pg names no host to Node.js for an IP address, which would then compare the certificate with "localhost".
      const ofThisHost: ConnectionOptions['checkServerIdentity'] = (_name, certificate) =>
        checkServerIdentity(host, certificate);
      return [{ rejectUnauthorized: true, ...(ca ? { ca } : {}), checkServerIdentity: ofThisHost }];
    }
    default:
      throw invalid(`sslmode "${mode}" does not exist`);
  }
}

/** The authorities to trust; undefined: those that Node.js knows. */
function roots({ host, sslrootcert }: ConnectionTarget): string | string[] | undefined {
  if (sslrootcert === 'system') return undefined;
  if (sslrootcert) return read(sslrootcert);
  if (RDS.test(host)) return [...rootCertificates, readFileSync(RDS_ROOTS, 'utf8')];
  const usual = path.join(homedir(), '.postgresql', 'root.crt');
  return existsSync(usual) ? read(usual) : undefined;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw invalid(`sslrootcert ${file} cannot be read`);
  }
}

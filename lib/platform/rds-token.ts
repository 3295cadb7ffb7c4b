import { UsageError } from './errors.ts';
import { findCredentials } from './s3/credentials.ts';
import { presignQuery } from './s3/sigv4.ts';

/** RDS accepts a token for so long, in seconds; a connection that was opened with it stays. */
const TOKEN_SECONDS = 900;

/** The region that the name of an RDS endpoint holds. */
export const rdsRegion = (host: string): string | undefined =>
  /\.([a-z]{2}-[a-z-]+-\d)\.rds\.amazonaws\.com/.exec(host)?.[1];

/**
 * A `postgres://` URL with the password that RDS takes from an IAM identity: a presigned request to connect (Amazon RDS User
 * Guide, "IAM database authentication"). It is made without asking anybody; the role needs `rds-db:connect` for the user.
 *
 * @throws UsageError DATABASE_URL_INVALID; SkytoolsError S3_NO_CREDENTIALS
 */
export async function withRdsToken(text: string): Promise<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.username || !url.hostname) {
    throw new UsageError('DATABASE_URL_INVALID', 'rds-iam: needs a URL with a user and a host', {
      hint: 'use rds-iam:postgres://user@instance.region.rds.amazonaws.com:5432/database',
    });
  }
  const region = rdsRegion(url.hostname) ?? process.env.AWS_REGION;
  if (!region) {
    throw new UsageError('DATABASE_URL_INVALID', 'the region of the rds instance is not known', {
      hint: 'use the endpoint that RDS names, or set AWS_REGION',
    });
  }
  const host = `${url.hostname}:${url.port || 5432}`;
  const query = { Action: 'connect', DBUser: decodeURIComponent(url.username) };
  const request = { method: 'GET', host, path: '/', query, headers: {} };
  const signed = presignQuery(request, TOKEN_SECONDS, region, await findCredentials(), new Date(), 'rds-db');
  url.password = encodeURIComponent(`${host}/?${signed}`);
  return url.href;
}

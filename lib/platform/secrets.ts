import { SkytoolsError, UsageError } from './errors.ts';
import { withRdsToken } from './rds-token.ts';

/** How long a fetched secret is used, in milliseconds, before it is read again: rotation takes effect within it. */
const SECRET_LIFETIME_MS = 5 * 60_000;

const cache = new Map<string, { value: string; readAt: number }>();

/**
 * The value behind a reference: `env:NAME`, `secretsmanager:ID` (the secret string, or the URL built from an RDS-style
 * JSON secret), `ssm:NAME` (decrypted), `rds-iam:URL` (the URL, or the URL behind a reference, with a fresh IAM token for its
 * password); anything else is the value itself. The AWS clients are loaded only when used.
 *
 * @throws UsageError SECRET_MISSING if an environment variable is not set; SkytoolsError SECRET_UNREADABLE otherwise
 */
export async function resolveSecret(reference: string): Promise<string> {
  const [, scheme, id] = /^(env|secretsmanager|ssm|rds-iam):(.+)$/.exec(reference) ?? [];
  if (scheme === undefined || id === undefined) return reference;
  if (scheme === 'rds-iam') return withRdsToken(await resolveSecret(id));
  if (scheme === 'env') {
    const value = process.env[id];
    if (value) return value;
    throw new UsageError('SECRET_MISSING', `environment variable ${id} is not set`, {
      hint: `set ${id}, or point the configuration at another reference`,
    });
  }
  const cached = cache.get(reference);
  if (cached && Date.now() - cached.readAt < SECRET_LIFETIME_MS) return cached.value;
  let value: string | undefined;
  try {
    value = scheme === 'ssm' ? await fromParameterStore(id) : await fromSecretsManager(id);
  } catch (error) {
    throw new SkytoolsError('SECRET_UNREADABLE', `cannot read ${scheme}:${id}`, {
      cause: error,
      retryable: true,
      hint: 'check the name, the region and that the function role may read it',
    });
  }
  if (!value) {
    throw new SkytoolsError('SECRET_UNREADABLE', `${scheme}:${id} is empty`, {
      hint: 'store the connect string in it',
    });
  }
  cache.set(reference, { value, readAt: Date.now() });
  return value;
}

/** Forgets fetched secrets, for the next attempt after the server refused a password. */
export function forgetSecrets(): void {
  cache.clear();
}

async function fromParameterStore(name: string): Promise<string | undefined> {
  const { GetParameterCommand, SSMClient } = await import('@aws-sdk/client-ssm');
  const { Parameter } = await new SSMClient().send(
    new GetParameterCommand({ Name: name, WithDecryption: true }),
  );
  return Parameter?.Value;
}

async function fromSecretsManager(id: string): Promise<string | undefined> {
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const { SecretString } = await new SecretsManagerClient().send(new GetSecretValueCommand({ SecretId: id }));
  return SecretString?.trimStart().startsWith('{') ? urlFromRdsSecret(SecretString) : SecretString;
}

/** The JSON form in which RDS keeps its managed secrets: host, port, dbname, username, password. */
function urlFromRdsSecret(text: string): string {
  const secret = JSON.parse(text) as Record<string, string | number | undefined>;
  const url = new URL('postgres://host');
  url.hostname = String(secret.host);
  url.port = String(secret.port ?? 5432);
  url.username = encodeURIComponent(String(secret.username));
  url.password = encodeURIComponent(String(secret.password));
  url.pathname = `/${encodeURIComponent(String(secret.dbname ?? secret.database ?? 'postgres'))}`;
  return url.href;
}

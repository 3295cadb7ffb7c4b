import { SkytoolsError } from '../../../lib/platform/errors.ts';
import type { FoundCredentials } from '../../../lib/platform/s3/credentials.ts';

/** Stands in for lib/platform/s3/credentials.ts: Lambda puts the role's credentials into the environment, and nowhere else. */
export async function findCredentials(env: NodeJS.ProcessEnv = process.env): Promise<FoundCredentials> {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = env;
  if (accessKeyId && secretAccessKey)
    return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  throw new SkytoolsError('S3_NO_CREDENTIALS', 'no aws credentials found', {
    hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as Lambda does',
  });
}

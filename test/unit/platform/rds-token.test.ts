import { Signer } from '@aws-sdk/rds-signer';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { resolveSecret } from '../../../lib/platform/secrets.ts';
import { parseTarget } from '../../../lib/postgres/target.ts';

const HOST = 'app.abc123.eu-west-1.rds.amazonaws.com';
const ACCOUNT = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };

describe('IAM authentication to RDS', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: new Date('2026-11-25T18:00:00Z'), toFake: ['Date'] });
    vi.stubEnv('AWS_ACCESS_KEY_ID', ACCOUNT.accessKeyId);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', ACCOUNT.secretAccessKey);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });

  it.each([undefined, 'a/session+token=='])(
    'makes the token that the AWS SDK makes (session %s)',
    async (session) => {
      vi.stubEnv('AWS_SESSION_TOKEN', session);
      const credentials = { ...ACCOUNT, ...(session ? { sessionToken: session } : {}) };
      const sdk = new Signer({
        region: 'eu-west-1',
        hostname: HOST,
        port: 6432,
        username: 'app user',
        credentials,
      });
      const url = await resolveSecret(`rds-iam:postgres://app%20user@${HOST}:6432/db?sslmode=verify-full`);
      const target = parseTarget(url);
      const parts = (token: string) => [...new URL(`https://${token}`).searchParams].sort();
      expect(parts(target.password!)).toEqual(parts(await sdk.getAuthToken()));
      expect(target).toMatchObject({ user: 'app user', port: 6432, database: 'db', sslmode: 'verify-full' });
    },
  );

  it('takes the URL from another reference, and makes a new token each time', async () => {
    vi.stubEnv('DRILL_URL', `postgres://app@${HOST}/db`);
    const first = await resolveSecret('rds-iam:env:DRILL_URL');
    vi.setSystemTime(new Date('2026-11-25T18:10:00Z'));
    expect(await resolveSecret('rds-iam:env:DRILL_URL')).not.toBe(first);
  });

  it('refuses what it cannot sign for, without quoting it', async () => {
    for (const url of ['host=x password=hush', 'postgres://:hush@x/db', 'postgres://app:hush@elsewhere/db']) {
      vi.stubEnv('AWS_REGION', '');
      const error = await resolveSecret(`rds-iam:${url}`).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'DATABASE_URL_INVALID' });
      expect(JSON.stringify(error)).not.toContain('hush');
    }
  });
});

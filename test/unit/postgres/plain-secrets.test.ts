import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../lib/platform/config-file.ts';
import { requireReferences } from '../../../lib/postgres/plain-secrets.ts';

const check = (url: string) => () => requireReferences(parseConfig({ databases: { app: { url } } }));

describe('a configuration that is bundled with the functions', () => {
  it.each([
    'env:X',
    'secretsmanager:a/b',
    'ssm:/a',
    'postgres://me@h/db',
    'host=h user=me',
    'rds-iam:postgres://me@h/db',
    'rds-iam:ssm:x',
  ])('may hold %s', (url) => expect(check(url)).not.toThrow());

  it.each([
    'postgres://me:hush@h/db',
    'host=h password=hush',
    'postgres://h/db?password=hush',
    'rds-iam:postgres://me:hush@h/db',
  ])('may not hold a password, and what refuses it does not repeat it', (url) => {
    expect(check(url)).toThrow(expect.objectContaining({ code: 'CONFIG_SECRET_IN_PLAIN' }));
    expect(check(url)).not.toThrow(/hush/);
  });
});

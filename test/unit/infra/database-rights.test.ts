import { expect, it } from 'vitest';
import { databaseRights } from '../../../infra/build/database-rights.ts';
import { functions } from '../../../infra/functions.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';

const HOST = 'db.abc123.eu-west-1.rds.amazonaws.com';
const rightsOf = (...databases: { url: string; rdsResourceId?: string }[]) =>
  databaseRights(parseConfig({ databases: Object.fromEntries(databases.map((each, n) => [`d${n}`, each])) }));

/** Actions and ARNs of the policy of one function, references by their names. */
function read(rights: ReturnType<typeof rightsOf>, name: string) {
  const { Roles, PolicyDocument } = rights[name]!.Properties as {
    Roles: unknown[];
    PolicyDocument: { Statement: { Action: string[]; Resource: { 'Fn::Join': [string, unknown[]] }[] }[] };
  };
  const [{ Action, Resource }] = PolicyDocument.Statement as [(typeof PolicyDocument.Statement)[0]];
  const text = (part: unknown) => (typeof part === 'string' ? part : `<${(part as { Ref: string }).Ref}>`);
  return { Roles, Action, arns: Resource.map((each) => each['Fn::Join'][1].map(text).join('')) };
}

it('databases with passwords give no right to connect by IAM', () => {
  expect(rightsOf({ url: 'env:X' }, { url: `postgres://me@${HOST}/db` })).toEqual({});
});

it('IAM authentication lets each function that connects do so, as the configured user at the configured instance', () => {
  const rights = rightsOf(
    { url: `rds-iam:postgres://app@${HOST}/db`, rdsResourceId: 'db-ABC1' },
    { url: 'rds-iam:postgres://o%2A@proxy.internal/db' },
    { url: 'rds-iam:ssm:skytools/app', rdsResourceId: 'cluster-XY2' },
    { url: 'env:X' },
  );
  const connecting = functions.filter(({ connects }) => connects);
  expect(Object.keys(rights)).toHaveLength(connecting.length);
  expect(rights).not.toHaveProperty('SweepDatabaseRights');
  expect(read(rights, 'WalArchiveDatabaseRights')).toEqual({
    Roles: [{ Ref: 'WalArchiveRole' }],
    Action: ['rds-db:connect'],
    arns: [
      'arn:<AWS::Partition>:rds-db:eu-west-1:<AWS::AccountId>:dbuser:db-ABC1/app',
      'arn:<AWS::Partition>:rds-db:<AWS::Region>:<AWS::AccountId>:dbuser:*/o?',
      'arn:<AWS::Partition>:rds-db:<AWS::Region>:<AWS::AccountId>:dbuser:cluster-XY2/*',
    ],
  });
});

it('a resource id that could widen the right is refused', () => {
  for (const rdsResourceId of ['*', 'db-*', 'db-ABC/other', 'prx-'])
    expect(() => rightsOf({ url: 'env:X', rdsResourceId })).toThrow(/rdsResourceId/);
});

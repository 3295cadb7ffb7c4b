import { expect, it } from 'vitest';
import { consumerRights } from '../../../infra/build/consumer-rights.ts';
import { parseConfig } from '../../../lib/platform/config-file.ts';

const at = { database: 'app', queue: 'orders' };
const rightsOf = (consumers: Record<string, Record<string, unknown>>) =>
  consumerRights(parseConfig({ databases: { app: { url: 'env:X' }, copy: { url: 'env:Y' } }, consumers }));

/** References by their names, so that an ARN can be read. */
const text = (value: unknown): unknown =>
  typeof value === 'string'
    ? value
    : (value as { 'Fn::Join': [string, unknown[]] })['Fn::Join'][1]
        .map((part) => (typeof part === 'string' ? part : `<${(part as { Ref: string }).Ref}>`))
        .join('');

it('consumers that call nothing get no rights', () => {
  expect(
    rightsOf({
      hook: { kind: 'http', url: 'https://example.com', ...at },
      rows: { kind: 'apply-rows', target: 'copy', ...at },
    }),
  ).toEqual({});
});

it('each consumer may call exactly what its configuration names', () => {
  const { ConsumerRights } = rightsOf({
    queue: { kind: 'sqs', queueUrl: 'https://sqs.eu-west-1.amazonaws.com/123456789012/out', ...at },
    topic: { kind: 'sns', topicArn: 'arn:aws:sns:eu-west-1:123456789012:t', ...at },
    bus: { kind: 'eventbridge', eventBus: 'shop', ...at },
    foreign: {
      kind: 'eventbridge',
      eventBus: 'arn:aws:events:us-east-1:210987654321:event-bus/far',
      ...at,
    },
    archive: { kind: 's3-archive', bucket: 'example-events', ...at },
    odd: {
      kind: 's3-archive',
      bucket: 'example-events',
      key: 'x/{queue}/{consumer}/{tick}-{event}',
      database: 'app',
      queue: 'a*$b',
    },
  });
  const { Properties } = ConsumerRights as unknown as {
    Properties: {
      Roles: unknown;
      PolicyDocument: { Statement: { Action: string[]; Resource: unknown[] }[] };
    };
  };
  expect(Properties.Roles).toEqual([{ Ref: 'ConsumeRole' }]);
  expect(
    Properties.PolicyDocument.Statement.map(({ Action, Resource }) => [Action.join(' '), Resource.map(text)]),
  ).toEqual([
    ['sqs:SendMessage', ['arn:<AWS::Partition>:sqs:eu-west-1:123456789012:out']],
    ['sns:Publish', ['arn:aws:sns:eu-west-1:123456789012:t']],
    ['events:PutEvents', ['arn:<AWS::Partition>:events:<AWS::Region>:<AWS::AccountId>:event-bus/shop']],
    ['events:PutEvents', ['arn:aws:events:us-east-1:210987654321:event-bus/far']],
    ['s3:PutObject s3:GetObject', ['arn:<AWS::Partition>:s3:::example-events/orders/*']],
    ['s3:PutObject s3:GetObject', ['arn:<AWS::Partition>:s3:::example-events/x/a??b/*']],
  ]);
});

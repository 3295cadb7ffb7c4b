import type { Config, ConsumerConfig } from '../../lib/platform/config.ts';
import { constantPrefixOf } from '../../lib/platform/template.ts';

/** What one consumer calls, as a statement of IAM. */
interface Statement {
  Effect: 'Allow';
  Action: string[];
  Resource: unknown[];
}

/** A CloudFormation value made of parts; references among them. */
const joined = (...parts: unknown[]) => ({ 'Fn::Join': ['', parts] });
const PARTITION = { Ref: 'AWS::Partition' };
const REGION = { Ref: 'AWS::Region' };
const ACCOUNT = { Ref: 'AWS::AccountId' };

const allow = (action: string | string[], resource: unknown): Statement => ({
  Effect: 'Allow',
  Action: [action].flat(),
  Resource: [resource],
});

/**
 * What the configured consumers may call besides the stack's own queues, as a CloudFormation template part: exactly the
 * queues, topics, buses and key prefixes that the configuration names.
 */
export function consumerRights(config: Config): { Resources: Record<string, unknown> } {
  const statements = Object.values(config.consumers).flatMap(statementsOf);
  if (statements.length === 0) return { Resources: {} };
  return {
    Resources: {
      ConsumerRights: {
        Type: 'AWS::IAM::Policy',
        Properties: {
          PolicyName: 'consumers',
          Roles: [{ Ref: 'ConsumeRole' }],
          PolicyDocument: { Version: '2012-10-17', Statement: statements },
        },
      },
    },
  };
}

function statementsOf(consumer: ConsumerConfig): Statement[] {
  switch (consumer.kind) {
    case 'sqs':
      return [allow('sqs:SendMessage', queueArn(consumer.queueUrl))];
    case 'sns':
      return [allow('sns:Publish', consumer.topicArn)];
    case 'eventbridge':
      return [allow('events:PutEvents', busArn(consumer.eventBus))];
    case 's3-archive': {
      const keys = joined('arn:', PARTITION, `:s3:::${consumer.bucket}/${keyPrefix(consumer)}*`);
      // Reading is for comparing an object that is there already.
      return [allow(['s3:PutObject', 's3:GetObject'], keys)];
    }
    default:
      return [];
  }
}

function queueArn(queueUrl: string): unknown {
  const { hostname, pathname } = new URL(queueUrl);
  const region = /^sqs\.([a-z0-9-]+)\.amazonaws\./.exec(hostname)?.[1] ?? REGION;
  const [account, name] = pathname.split('/').slice(-2);
  return joined('arn:', PARTITION, ':sqs:', region, `:${account}:${name}`);
}

const busArn = (bus: string): unknown =>
  bus.startsWith('arn:')
    ? bus
    : joined('arn:', PARTITION, ':events:', REGION, ':', ACCOUNT, `:event-bus/${bus}`);

/** The start that all keys have. A consumer that is shared has several names, so `{consumer}` ends it. */
function keyPrefix({ key, queue, database }: ConsumerConfig & { kind: 's3-archive' }): string {
  const known = key.replaceAll('{queue}', () => queue).replaceAll('{database}', () => database);
  // What IAM reads as a pattern or a variable stands for any one character.
  return constantPrefixOf(known).replace(/[$*?]/g, '?');
}

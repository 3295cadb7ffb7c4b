import type { Config, ConsumerConfig } from '../../lib/platform/config.ts';
import { constantPrefixOf } from '../../lib/platform/template.ts';
import {
  ACCOUNT,
  allow,
  joined,
  PARTITION,
  policy,
  REGION,
  type Resources,
  type Statement,
} from './rights.ts';

/**
 * What the configured consumers may call besides the stack's own queues, as resources of CloudFormation: exactly the
 * queues, topics, buses and key prefixes that the configuration names.
 */
export function consumerRights(config: Config): Resources {
  const statements = Object.values(config.consumers).flatMap(statementsOf);
  return statements.length === 0 ? {} : { ConsumerRights: policy('consumers', 'ConsumeRole', statements) };
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

import { GetQueueAttributesCommand, GetQueueUrlCommand, SQSClient } from '@aws-sdk/client-sqs';
import { UsageError } from '../platform/errors.ts';
import { JOB_KINDS, type JobKind } from './messages.ts';
import { queueVariable } from './sender.ts';

/** The name of a deployment's queue: `skytools-dev-tick`, as serverless.yml gives it. */
export const queueName = (stack: string, kind: JobKind): string => `${stack}-${kind}`;

/**
 * Lets this process send messages to the functions of a deployment: finds the queues by their names and sets the variables
 * that the sender reads. A variable that is set already is left as it is.
 *
 * @param stack name of the deployment, such as `skytools-dev`
 * @throws UsageError DEPLOYMENT_NOT_FOUND where a queue is not there
 */
export async function useDeployedQueues(stack: string, kinds: readonly JobKind[]): Promise<void> {
  const sqs = new SQSClient();
  try {
    for (const kind of kinds) {
      process.env[queueVariable(kind)] ??= await queueUrl(sqs, queueName(stack, kind));
    }
  } finally {
    sqs.destroy();
  }
}

/**
 * Messages that were given up, by the kinds of which there are any. The dead-letter queues are those to which the deployment's
 * queues lead.
 *
 * @throws UsageError DEPLOYMENT_NOT_FOUND
 */
export async function deadLetters(stack: string): Promise<Map<JobKind, number>> {
  const sqs = new SQSClient();
  const attribute = async (QueueUrl: string, name: 'RedrivePolicy' | 'ApproximateNumberOfMessages') => {
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [name] }),
    );
    return Attributes?.[name];
  };
  try {
    const counts = new Map<JobKind, number>();
    for (const kind of JOB_KINDS) {
      const url = process.env[queueVariable(kind)] ?? (await queueUrl(sqs, queueName(stack, kind)));
      const { deadLetterTargetArn } = JSON.parse((await attribute(url, 'RedrivePolicy')) ?? '{}');
      const dead = await queueUrl(sqs, String(deadLetterTargetArn).split(':').at(-1)!);
      const count = Number(await attribute(dead, 'ApproximateNumberOfMessages'));
      if (count > 0) counts.set(kind, count);
    }
    return counts;
  } finally {
    sqs.destroy();
  }
}

async function queueUrl(sqs: SQSClient, name: string): Promise<string> {
  try {
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: name }));
    return QueueUrl as string;
  } catch (error) {
    throw new UsageError('DEPLOYMENT_NOT_FOUND', `queue ${name} cannot be found: ${(error as Error).name}`, {
      cause: error,
      hint: 'name the deployment with --stack SERVICE-STAGE, and check region, account and AWS_ENDPOINT_URL; deploy first: `npm run deploy`',
    });
  }
}

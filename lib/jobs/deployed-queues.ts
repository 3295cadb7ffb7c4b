import { GetQueueUrlCommand, SQSClient } from '@aws-sdk/client-sqs';
import { UsageError } from '../platform/errors.ts';
import type { JobKind } from './messages.ts';
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

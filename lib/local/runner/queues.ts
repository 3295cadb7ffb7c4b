import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SetQueueAttributesCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { QueueDefinition } from './manifest.ts';

/** A queue that exists: where it is called, and how it is named in events. */
export interface QueueHandle {
  readonly url: string;
  readonly arn: string;
}

/** Makes the queues of a manifest, or brings those that are there to its settings. */
export async function createQueues(
  sqs: SQSClient,
  definitions: readonly QueueDefinition[],
): Promise<ReadonlyMap<string, QueueHandle>> {
  const queues = new Map<string, QueueHandle>();
  for (const { name } of definitions) {
    // Created bare: attributes that differ from an existing queue's would be an error.
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
    );
    queues.set(name, { url: QueueUrl as string, arn: Attributes?.QueueArn as string });
  }
  for (const definition of definitions) {
    const { deadLetter, delaySeconds, messageRetentionSeconds } = definition;
    const Attributes: Record<string, string> = {
      VisibilityTimeout: String(definition.visibilityTimeoutSeconds),
      ...(delaySeconds !== undefined && { DelaySeconds: String(delaySeconds) }),
      ...(messageRetentionSeconds !== undefined && {
        MessageRetentionPeriod: String(messageRetentionSeconds),
      }),
      ...(deadLetter && {
        RedrivePolicy: JSON.stringify({
          deadLetterTargetArn: queues.get(deadLetter.queue)?.arn,
          maxReceiveCount: deadLetter.maxReceiveCount,
        }),
      }),
    };
    const QueueUrl = queues.get(definition.name)?.url;
    await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes }));
  }
  return queues;
}

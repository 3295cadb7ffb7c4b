import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { ConsumerOfKind } from '../../../platform/config.ts';
import {
  attributeBytes,
  attributesOf,
  bodyOf,
  ENTRIES_OF_A_CALL,
  fifoFields,
  keptClients,
  sendBatch,
  within,
} from './aws.ts';
import type { Destination } from './destination.ts';

/** Repetition is the deliverer's, which knows the deadline. */
const clientOf = keptClients(
  (origin: string) => new SQSClient({ maxAttempts: 1, endpoint: origin, ...regionOf(origin) }),
);

/** An SQS queue, standard or FIFO. */
export function sqsDestination(consumer: ConsumerOfKind<'sqs'>): Destination {
  const { queueUrl, attributes, groupId, maximumBytes, database } = consumer;
  const client = clientOf(new URL(queueUrl).origin);
  return {
    maximumEntries: ENTRIES_OF_A_CALL,
    maximumBytes,
    encode(event, batch) {
      const body = bodyOf(event, consumer);
      const own = attributeBytes(attributesOf(attributes, event, batch));
      // Refuses an event without a group here, before it is part of a call.
      fifoFields(groupId, database, event, batch);
      return { body, bytes: Buffer.byteLength(body) + own };
    },
    send: (entries, batch, timeoutMs) =>
      sendBatch(entries, () =>
        client.send(
          new SendMessageBatchCommand({
            QueueUrl: queueUrl,
            Entries: entries.map(({ event, body }, index) => ({
              Id: String(index),
              MessageBody: body,
              MessageAttributes: attributesOf(attributes, event, batch),
              ...fifoFields(groupId, database, event, batch),
            })),
          }),
          within(timeoutMs),
        ),
      ),
  };
}

/** The region that the queue's address names: signatures are for it. */
function regionOf(origin: string): { region?: string } {
  const region = /^https:\/\/sqs\.([a-z0-9-]+)\.amazonaws\./.exec(origin)?.[1];
  return region === undefined ? {} : { region };
}

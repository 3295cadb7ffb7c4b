import type { ConsumerOfKind } from '../../../platform/config.ts';
import { fillTemplate } from '../../../platform/template.ts';
import type { PgqEvent } from '../../event.ts';
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
import { eventFields } from './event-json.ts';

/** Repetition is the deliverer's, which knows the deadline. */
const clientOf = keptClients(async (region: string) => {
  const { SNSClient } = await import('@aws-sdk/client-sns');
  return new SNSClient({ maxAttempts: 1, region });
});

/** SNS takes subjects of one line, shorter than this. */
const LONGEST_SUBJECT = 100;

/** An SNS topic, standard or FIFO. The client is part of Lambda's runtime, and loaded where a topic is configured. */
export async function snsDestination(consumer: ConsumerOfKind<'sns'>): Promise<Destination> {
  const { topicArn, attributes, subject, groupId, maximumBytes, database } = consumer;
  const { PublishBatchCommand } = await import('@aws-sdk/client-sns');
  const client = await clientOf(topicArn.split(':')[3]!);
  const subjectOf = (event: PgqEvent, batch: Parameters<typeof eventFields>[1]) =>
    subject === undefined
      ? undefined
      : fillTemplate(subject, eventFields(event, batch))
          .replace(/[\p{Cc}\s]+/gu, ' ')
          .slice(0, LONGEST_SUBJECT - 1) || undefined;
  return {
    maximumEntries: ENTRIES_OF_A_CALL,
    maximumBytes,
    encode(event, batch) {
      const body = bodyOf(event, consumer);
      const around = attributeBytes(attributesOf(attributes, event, batch));
      // Refuses an event without a group here, before it is part of a call.
      fifoFields(groupId, database, event, batch);
      return { body, bytes: Buffer.byteLength(body) + around + (subjectOf(event, batch)?.length ?? 0) };
    },
    send: (entries, batch, timeoutMs) =>
      sendBatch(entries, () =>
        client.send(
          new PublishBatchCommand({
            TopicArn: topicArn,
            PublishBatchRequestEntries: entries.map(({ event, body }, index) => ({
              Id: String(index),
              Message: body,
              Subject: subjectOf(event, batch),
              MessageAttributes: attributesOf(attributes, event, batch),
              ...fifoFields(groupId, database, event, batch),
            })),
          }),
          within(timeoutMs),
        ),
      ),
  };
}

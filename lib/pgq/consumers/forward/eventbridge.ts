import type { ConsumerOfKind } from '../../../platform/config.ts';
import { fillTemplate } from '../../../platform/template.ts';
import type { PgqEvent } from '../../event.ts';
import { answered, bodyOf, ENTRIES_OF_A_CALL, keptClients, thrown, within } from './aws.ts';
import { type Destination, EventRefused } from './destination.ts';
import { eventFields } from './event-json.ts';

/** Repetition is the deliverer's, which knows the deadline. */
const clientOf = keptClients(async (region: string | undefined) => {
  const { EventBridgeClient } = await import('@aws-sdk/client-eventbridge');
  return new EventBridgeClient({ maxAttempts: 1, ...(region === undefined ? {} : { region }) });
});

/** What the time of an entry counts towards its size ("Calculating Amazon EventBridge PutEvents event entry size"). */
const TIME_BYTES = 14;

/** An EventBridge bus. The client is part of Lambda's runtime, and loaded where a bus is configured. */
export async function eventbridgeDestination(consumer: ConsumerOfKind<'eventbridge'>): Promise<Destination> {
  const { eventBus, source, detailType, maximumBytes } = consumer;
  const { PutEventsCommand } = await import('@aws-sdk/client-eventbridge');
  const client = await clientOf(eventBus.startsWith('arn:') ? eventBus.split(':')[3]! : undefined);
  const labelsOf = (event: PgqEvent, batch: Parameters<typeof eventFields>[1]) => {
    const fields = eventFields(event, batch);
    return { Source: fillTemplate(source, fields), DetailType: fillTemplate(detailType, fields) };
  };
  return {
    maximumEntries: ENTRIES_OF_A_CALL,
    maximumBytes,
    encode(event, batch) {
      const body = bodyOf(event, consumer);
      if (consumer.body === 'data' && !isObject(body)) throw new EventRefused('ev_data is no JSON object');
      const { Source, DetailType } = labelsOf(event, batch);
      if (Source === '' || DetailType === '') throw new EventRefused('its source or detail type is empty');
      return { body, bytes: TIME_BYTES + Buffer.byteLength(Source + DetailType + body) };
    },
    async send(entries, batch, timeoutMs) {
      try {
        const { Entries = [] } = await client.send(
          new PutEventsCommand({
            Entries: entries.map(({ event, body }) => ({
              ...labelsOf(event, batch),
              EventBusName: eventBus,
              Time: event.time,
              Detail: body,
            })),
          }),
          within(timeoutMs),
        );
        return answered(
          entries,
          Entries.flatMap(({ ErrorCode }, index) =>
            ErrorCode === undefined ? [] : [{ index, code: ErrorCode, ofTheSender: true }],
          ),
        );
      } catch (error) {
        return thrown(error);
      }
    },
  };
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

import { createHash } from 'node:crypto';
import { fillTemplate } from '../../../platform/template.ts';
import type { Batch } from '../../batch.ts';
import type { PgqEvent } from '../../event.ts';
import { type Entry, EventRefused, type Outcome } from './destination.ts';
import { type DataForm, eventFields, eventJson } from './event-json.ts';

/** What SQS, SNS and EventBridge take in one call. */
export const ENTRIES_OF_A_CALL = 10;

/** Codes of errors that pass by themselves. */
const PASSING = /throttl|toomanyrequests|slowdown|internal|unavailable|timeout|limitexceeded|requestexpired/i;
/** Codes of errors that are about who calls and what is called, and not about what is sent. */
const OF_THE_CALLER =
  /denied|notauthorized|forbidden|token|signature|authentication|credential|nonexistent|notfound|doesnotexist|disabled|kms|optin|invalidaddress|invalidsecurity/i;

/** An entry that a batch call did not take. */
export interface FailedEntry {
  index: number;
  code: string | undefined;
  /** Whether the service says that repeating it is of no use. */
  ofTheSender: boolean;
}

/** What came of a batch call that was answered. */
export function answered(entries: readonly Entry[], failed: readonly FailedEntry[]): Outcome {
  const again: Entry[] = [];
  const refused: { entry: Entry; reason: string }[] = [];
  for (const { index, code = 'unknown', ofTheSender } of failed) {
    if (OF_THE_CALLER.test(code)) return { kind: 'down', reason: code, hopeless: true };
    if (!ofTheSender || PASSING.test(code)) again.push(entries[index]!);
    else refused.push({ entry: entries[index]!, reason: code });
  }
  return { kind: 'taken', refused, again, reason: failed[0]?.code ?? 'unknown' };
}

/** A batch call of SQS or SNS, whose entries have their index as id. */
export async function sendBatch(
  entries: readonly Entry[],
  call: () => Promise<{
    Failed?:
      | { Id: string | undefined; Code: string | undefined; SenderFault: boolean | undefined }[]
      | undefined;
  }>,
): Promise<Outcome> {
  try {
    const { Failed = [] } = await call();
    return answered(
      entries,
      Failed.map(({ Id, Code, SenderFault }) => ({
        index: Number(Id),
        code: Code,
        ofTheSender: SenderFault === true,
      })),
    );
  } catch (error) {
    return thrown(error);
  }
}

/** What came of a call for which the SDK throws. Names only: messages may hold what was sent. */
export function thrown(error: unknown): Outcome {
  const {
    name = 'unknown',
    $fault,
    $metadata,
  } = error as {
    name?: string;
    $fault?: 'client' | 'server';
    $metadata?: { httpStatusCode?: number };
  };
  const status = $metadata?.httpStatusCode;
  if (OF_THE_CALLER.test(name)) return { kind: 'down', reason: name, hopeless: true };
  const unanswered = status === undefined;
  if (unanswered || status >= 500 || status === 429 || $fault === 'server' || PASSING.test(name))
    return { kind: 'down', reason: unanswered ? `no answer (${codeOf(error) ?? name})` : name };
  return { kind: 'refused', reason: name };
}

const codeOf = (error: unknown): string | undefined => (error as { code?: string }).code;

/**
 * The text that is sent of an event.
 *
 * @throws EventRefused where there is none
 */
export function bodyOf(event: PgqEvent, form: { body: 'event' | 'data'; data: DataForm }): string {
  if (form.body === 'event') return eventJson(event, form.data);
  if (event.data === null || event.data === '') throw new EventRefused('ev_data is empty');
  return event.data;
}

/** Attributes of a message; one without a value is left out. */
export function attributesOf(
  templates: Readonly<Record<string, string>>,
  event: PgqEvent,
  batch: Batch,
): Record<string, { DataType: 'String'; StringValue: string }> {
  const fields = eventFields(event, batch);
  return Object.fromEntries(
    Object.entries(templates).flatMap(([name, template]) => {
      const StringValue = fillTemplate(template, fields);
      return StringValue === '' ? [] : [[name, { DataType: 'String' as const, StringValue }]];
    }),
  );
}

/** What attributes count towards the size of a message: names, types and values. */
export const attributeBytes = (attributes: Record<string, { DataType: string; StringValue: string }>) =>
  Object.entries(attributes).reduce(
    (sum, [name, { DataType, StringValue }]) => sum + Buffer.byteLength(name + DataType + StringValue),
    0,
  );

/** Group and de-duplication of a FIFO message: the same event of the same batch is taken once within five minutes. */
export function fifoFields(
  groupTemplate: string | undefined,
  database: string,
  event: PgqEvent,
  batch: Batch,
): { MessageGroupId?: string; MessageDeduplicationId?: string } {
  if (groupTemplate === undefined) return {};
  const group = fillTemplate(groupTemplate, eventFields(event, batch));
  if (group === '') throw new EventRefused('its message group is empty');
  const identity = [database, batch.queue, batch.consumer, String(batch.id), String(event.id)];
  return {
    MessageGroupId: group,
    MessageDeduplicationId: createHash('sha256').update(JSON.stringify(identity)).digest('hex'),
  };
}

/** Ends a call of an AWS client in time. */
export const within = (timeoutMs: number) => ({ abortSignal: AbortSignal.timeout(Math.ceil(timeoutMs)) });

/** Clients of a warm function by what they are for (a region, an endpoint), each with its open connections. */
export function keptClients<Key, Client>(make: (key: Key) => Client): (key: Key) => Client {
  const made = new Map<Key, Client>();
  return (key) => {
    const client = made.get(key) ?? make(key);
    made.set(key, client);
    return client;
  };
}

import { ChangeMessageVisibilityCommand, SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
import { SkytoolsError } from '../platform/errors.ts';
import type { JobKind, JobMessage } from './messages.ts';

/** A message and how long SQS keeps it back, in seconds (0 to 900). */
export interface Wakeup {
  job: JobMessage;
  delaySeconds?: number;
}

/** Sends wake-ups. Losing one is harmless, so senders do not retry beyond what the client does. */
export interface Sender {
  send(wakeups: readonly Wakeup[]): Promise<void>;
}

/** Most entries of one SendMessageBatch call. */
const BATCH_ENTRIES = 10;

/** The environment variable with the URL of the queue for a kind of job, such as SKYTOOLS_QUEUE_WAL_ARCHIVE. */
export const queueVariable = (kind: JobKind): string =>
  `SKYTOOLS_QUEUE_${kind.toUpperCase().replaceAll('-', '_')}`;

let client: SQSClient | undefined;

/** The one SQS client of a warm function. Region, credentials and AWS_ENDPOINT_URL come from the environment. */
const sqs = (): SQSClient => {
  client ??= new SQSClient({ maxAttempts: 3 });
  return client;
};

function queueUrl(kind: JobKind): string {
  const variable = queueVariable(kind);
  const url = process.env[variable];
  if (url) return url;
  throw new SkytoolsError('JOB_QUEUE_UNKNOWN', `no queue is configured for ${kind} messages`, {
    hint: `set ${variable} to the queue's URL; serverless.yml does so for the functions that send them`,
  });
}

/** The sender of deployed functions: SQS, ten messages a call. */
export const sqsSender: Sender = {
  async send(wakeups) {
    const byKind = Map.groupBy(wakeups, (wakeup) => wakeup.job.kind);
    await Promise.all(
      [...byKind].flatMap(([kind, group]) =>
        chunks(group, BATCH_ENTRIES).map((part) => sendBatch(queueUrl(kind), part)),
      ),
    );
  },
};

async function sendBatch(url: string, wakeups: Wakeup[]): Promise<void> {
  const { Failed } = await sqs().send(
    new SendMessageBatchCommand({
      QueueUrl: url,
      Entries: wakeups.map(({ job, delaySeconds = 0 }, index) => ({
        Id: String(index),
        MessageBody: JSON.stringify(job),
        DelaySeconds: delaySeconds,
      })),
    }),
  );
  if (Failed?.length) {
    throw new SkytoolsError(
      'JOB_NOT_SENT',
      `sqs refused ${Failed.length} of ${wakeups.length} messages: ${Failed[0]?.Code}`,
      {
        retryable: true,
        hint: 'the next tick wakes the work again; check the queue and the function role if this repeats',
      },
    );
  }
}

/** Makes a failed message visible again after `seconds` instead of the queue's whole visibility time-out. */
export async function shortenVisibility(
  kind: JobKind,
  receiptHandle: string,
  seconds: number,
): Promise<void> {
  await sqs().send(
    new ChangeMessageVisibilityCommand({
      QueueUrl: queueUrl(kind),
      ReceiptHandle: receiptHandle,
      VisibilityTimeout: seconds,
    }),
  );
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

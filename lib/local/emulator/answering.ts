import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Fault } from './faults.ts';
import { type Answer, ServiceError } from './wire.ts';
import { renderXml } from './xml.ts';

/** Writes an answer, as the fault will have it. */
export async function writeAnswer(
  message: IncomingMessage,
  response: ServerResponse,
  id: string,
  answer: Answer,
  fault: Fault | undefined,
): Promise<void> {
  const { body } = answer;
  const headers: Record<string, string> = { 'x-amz-request-id': id, ...answer.headers };
  if (typeof body === 'string') headers['content-length'] = String(Buffer.byteLength(body));
  else if (body === undefined && answer.status !== 204 && answer.status !== 304)
    headers['content-length'] ??= '0';
  if (!message.complete && message.headers['content-length'] !== '0') {
    if (message.headers.expect) headers.connection = 'close';
    // Refused before the body was read: what still comes is thrown away, so that the client gets to read the answer.
    message.resume();
  }
  response.writeHead(answer.status, latin1(headers));
  if (body === undefined || message.method === 'HEAD') return void response.end();
  const source = typeof body === 'string' ? Readable.from([Buffer.from(body)], { objectMode: false }) : body;
  if (fault?.kind === 'truncate') return truncate(source, response, Number(headers['content-length']));
  const stages = fault?.kind === 'corrupt' ? [corruptFirstByte()] : [];
  // A client that goes away in the middle is not an error of ours.
  await pipeline([source, ...stages, response]).catch(() => response.destroy());
}

async function truncate(source: Readable, response: ServerResponse, length: number): Promise<void> {
  let remaining = Math.floor(length / 2);
  for await (const chunk of source as AsyncIterable<Buffer>) {
    await new Promise((resolve) => response.write(chunk.subarray(0, remaining), resolve));
    remaining -= chunk.length;
    if (remaining <= 0) break;
  }
  response.destroy();
}

function corruptFirstByte(): Transform {
  let done = false;
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      const copy = Buffer.from(chunk);
      if (!done && copy.length > 0) copy[0] = (copy[0] as number) ^ 0xff;
      done = true;
      callback(null, copy);
    },
  });
}

/** S3's form of a refusal. */
export function xmlError(error: unknown, method: string | undefined, requestId: string): Answer {
  const refusal = asServiceError(error);
  const headers = { ...refusal.headers, 'content-type': 'application/xml' };
  if (method === 'HEAD' || refusal.status === 304) return { status: refusal.status, headers };
  const body = renderXml(
    [
      'Error',
      [
        ['Code', refusal.code],
        ['Message', refusal.message],
        ['RequestId', requestId],
      ],
    ],
    false,
  );
  return { status: refusal.status, headers, body };
}

/** Names that SQS's older protocols gave its errors; SDKs show them as the error's name. */
const LEGACY_CODES: Readonly<Record<string, string>> = {
  QueueDoesNotExist: 'AWS.SimpleQueueService.NonExistentQueue',
  QueueNameExists: 'QueueAlreadyExists',
  EmptyBatchRequest: 'AWS.SimpleQueueService.EmptyBatchRequest',
  TooManyEntriesInBatchRequest: 'AWS.SimpleQueueService.TooManyEntriesInBatchRequest',
  BatchEntryIdsNotDistinct: 'AWS.SimpleQueueService.BatchEntryIdsNotDistinct',
  BatchRequestTooLong: 'AWS.SimpleQueueService.BatchRequestTooLong',
};

/** SQS's form of a refusal. */
export function jsonError(error: unknown): Answer {
  const refusal = asServiceError(error);
  const fault = refusal.status < 500 ? 'Sender' : 'Receiver';
  return {
    status: refusal.status,
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amzn-query-error': `${LEGACY_CODES[refusal.code] ?? refusal.code};${fault}`,
    },
    body: JSON.stringify({ __type: `com.amazonaws.sqs#${refusal.code}`, message: refusal.message }),
  };
}

function asServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new ServiceError(500, 'InternalError', `We encountered an internal error: ${text}`);
}

/** Header values travel as latin1; user metadata in UTF-8 keeps its bytes that way. */
function latin1(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      /^[\u0000-\u00ff]*$/.test(value) ? value : Buffer.from(value, 'utf8').toString('latin1'),
    ]),
  );
}

import { ServiceError } from '../wire.ts';

/** Members of a request of the JSON protocol; each operation checks those that it uses. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is the sender's until an operation has checked it
export type Input = Readonly<Record<string, any>>;

export type Output = Readonly<Record<string, unknown>>;

/** A batch has at most ten entries, a receive takes at most ten messages. */
export const MAXIMUM_BATCH = 10;

/** Runs each entry of a batch by itself; a refused entry does not touch the others. */
export function runBatch(
  input: Input,
  work: (entry: Input) => Output,
  maximumBytes = Number.POSITIVE_INFINITY,
): Output {
  const entries: Input[] = Array.isArray(input.Entries) ? input.Entries : [];
  if (entries.length === 0) {
    throw new ServiceError(400, 'EmptyBatchRequest', 'There should be at least one entry in the request.');
  }
  if (entries.length > MAXIMUM_BATCH) {
    throw new ServiceError(
      400,
      'TooManyEntriesInBatchRequest',
      `Maximum number of entries per request are ${MAXIMUM_BATCH}.`,
    );
  }
  if (new Set(entries.map((entry) => entry.Id)).size < entries.length) {
    throw new ServiceError(
      400,
      'BatchEntryIdsNotDistinct',
      'Two or more batch entries in the request have the same Id.',
    );
  }
  if (entries.some((entry) => !/^[\w-]{1,80}$/.test(entry.Id ?? ''))) {
    throw new ServiceError(
      400,
      'InvalidBatchEntryId',
      'The Id of a batch entry in a batch request is not valid.',
    );
  }
  const size = entries.reduce((sum, entry) => sum + Buffer.byteLength(entry.MessageBody ?? ''), 0);
  if (size > maximumBytes) {
    throw new ServiceError(
      400,
      'BatchRequestTooLong',
      `Batch requests cannot be longer than ${maximumBytes} bytes.`,
    );
  }
  const successful: Output[] = [];
  const failed: Output[] = [];
  for (const entry of entries) {
    try {
      successful.push({ Id: entry.Id, ...work(entry) });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      failed.push({ Id: entry.Id, Code: error.code, Message: error.message, SenderFault: true });
    }
  }
  return { Successful: successful, Failed: failed };
}

/** The receipt handle, which must be there. */
export function requireHandle(input: Input): string {
  if (typeof input.ReceiptHandle !== 'string' || input.ReceiptHandle === '') {
    throw new ServiceError(400, 'MissingParameter', 'The request must contain the parameter ReceiptHandle.');
  }
  return input.ReceiptHandle;
}

/** A number within its bounds, or undefined where it was not given. */
export function optionalInteger(
  value: unknown,
  name: string,
  minimum: number,
  maximum: number,
): number | undefined {
  if (value === undefined || value === null) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < minimum || number > maximum) {
    throw new ServiceError(
      400,
      'InvalidParameterValue',
      `Value ${value} for parameter ${name} is invalid. Reason: Must be between ${minimum} and ${maximum}.`,
    );
  }
  return number;
}

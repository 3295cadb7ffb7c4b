import { createHash } from 'node:crypto';
import { ServiceError } from '../wire.ts';

/** A message attribute as the JSON protocol carries it; binary values are base64. */
export interface MessageAttribute {
  readonly DataType: string;
  readonly StringValue?: string;
  readonly BinaryValue?: string;
}

export type MessageAttributes = Readonly<Record<string, MessageAttribute>>;

/** Numeric queue attributes: default, smallest and largest value, as SQS documents them. */
const NUMERIC: Readonly<Record<string, readonly [standard: number, minimum: number, maximum: number]>> = {
  DelaySeconds: [0, 0, 900],
  MaximumMessageSize: [1_048_576, 1024, 1_048_576],
  MessageRetentionPeriod: [345_600, 60, 1_209_600],
  ReceiveMessageWaitTimeSeconds: [0, 0, 20],
  VisibilityTimeout: [30, 0, 43_200],
};

/** Attributes that are kept and given back, and change nothing here. */
const INERT = new Set([
  'Policy',
  'RedriveAllowPolicy',
  'SqsManagedSseEnabled',
  'KmsMasterKeyId',
  'KmsDataKeyReusePeriodSeconds',
]);

export interface RedrivePolicy {
  readonly deadLetterTargetArn: string;
  readonly maxReceiveCount: number;
}

/** Checks queue attributes and returns those that were given, in their stored form. */
export function requireQueueAttributes(given: Readonly<Record<string, string>>): Record<string, string> {
  const checked: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const range = NUMERIC[name];
    if (range) {
      const number = Number(value);
      if (!Number.isInteger(number) || number < range[1] || number > range[2]) {
        throw new ServiceError(400, 'InvalidAttributeValue', `Invalid value for the parameter ${name}.`);
      }
      checked[name] = String(number);
    } else if (name === 'RedrivePolicy') {
      if (value !== '') parseRedrivePolicy(value);
      checked[name] = value;
    } else if (INERT.has(name)) {
      checked[name] = value;
    } else {
      throw new ServiceError(400, 'InvalidAttributeName', `Unknown Attribute ${name}.`);
    }
  }
  return checked;
}

export function defaultQueueAttributes(): Record<string, string> {
  return Object.fromEntries(Object.entries(NUMERIC).map(([name, [standard]]) => [name, String(standard)]));
}

/** Reads a redrive policy; maxReceiveCount comes as a number or as a string. */
export function parseRedrivePolicy(text: string): RedrivePolicy {
  try {
    const { deadLetterTargetArn, maxReceiveCount } = JSON.parse(text);
    const count = Number(maxReceiveCount);
    if (typeof deadLetterTargetArn === 'string' && Number.isInteger(count) && count >= 1 && count <= 1000) {
      return { deadLetterTargetArn, maxReceiveCount: count };
    }
  } catch {
    // Not JSON: refused like any other wrong policy.
  }
  throw new ServiceError(400, 'InvalidParameterValue', 'Value for parameter RedrivePolicy is invalid.');
}

/** MD5 of a body in hexadecimal. */
export function bodyMd5(body: string): string {
  return createHash('md5').update(body).digest('hex');
}

/**
 * MD5 of message attributes as SQS defines it: by name, each of name, data type and value preceded by its length in
 * four bytes, the value also by a byte that says string (1) or binary (2).
 */
export function attributesMd5(attributes: MessageAttributes): string | undefined {
  const names = Object.keys(attributes).sort();
  if (names.length === 0) return undefined;
  const hash = createHash('md5');
  const add = (bytes: Buffer): void => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  };
  for (const name of names) {
    const { DataType, StringValue, BinaryValue } = attributes[name] as MessageAttribute;
    add(Buffer.from(name));
    add(Buffer.from(DataType));
    hash.update(Buffer.from([BinaryValue === undefined ? 1 : 2]));
    add(BinaryValue === undefined ? Buffer.from(StringValue ?? '') : Buffer.from(BinaryValue, 'base64'));
  }
  return hash.digest('hex');
}

/** Checks message attributes and returns their size in bytes. */
export function requireMessageAttributes(attributes: MessageAttributes): number {
  const names = Object.keys(attributes);
  if (names.length > 10) {
    throw new ServiceError(
      400,
      'InvalidParameterValue',
      'Number of message attributes exceeds the allowed maximum [10].',
    );
  }
  let size = 0;
  for (const name of names) {
    const { DataType, StringValue, BinaryValue } = attributes[name] as MessageAttribute;
    const binary = DataType?.startsWith('Binary');
    if (
      !/^(String|Number|Binary)(\..+)?$/.test(DataType ?? '') ||
      (binary ? BinaryValue : StringValue) === undefined
    ) {
      throw new ServiceError(400, 'InvalidParameterValue', `The message attribute '${name}' is not valid.`);
    }
    size += Buffer.byteLength(name) + Buffer.byteLength(DataType);
    size += binary ? Buffer.byteLength(BinaryValue ?? '', 'base64') : Buffer.byteLength(StringValue ?? '');
  }
  return size;
}

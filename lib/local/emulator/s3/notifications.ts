import { randomBytes } from 'node:crypto';
import { type Answer, REGION, ServiceError } from '../wire.ts';
import { childrenOf, type Element, type Parsed, parseXml, renderXml, textOf } from '../xml.ts';
import { receiveText } from './body.ts';
import { xmlAnswer } from './objects.ts';
import type { Bucket, QueueNotification, StoredObject } from './store.ts';
import type { BucketTarget, Deliver } from './target.ts';

export async function putBucketNotification({ bucket, request, deliver }: BucketTarget): Promise<Answer> {
  const document = parseXml(await receiveText(request));
  if (!document) throw new ServiceError(400, 'MalformedXML', 'The XML you provided was not well-formed');
  if (document.children.some((child) => child.name !== 'QueueConfiguration')) {
    throw new ServiceError(
      501,
      'NotImplemented',
      'only queues are emulated as destinations of bucket events',
    );
  }
  const notifications = childrenOf(document, 'QueueConfiguration').map(readQueueConfiguration);
  // As S3 does, each destination is tried with a test event before the configuration is accepted.
  for (const { queueArn } of notifications) {
    const test = {
      Service: 'Amazon S3',
      Event: 's3:TestEvent',
      Time: new Date().toISOString(),
      Bucket: bucket.name,
      RequestId: requestId(),
      HostId: requestId(),
    };
    if (!deliver(queueArn, JSON.stringify(test))) {
      throw new ServiceError(
        400,
        'InvalidArgument',
        'Unable to validate the following destination configurations: the queue does not exist',
      );
    }
  }
  bucket.notifications = notifications;
  bucket.saveSettings();
  return { status: 200 };
}

export async function getBucketNotification({ bucket }: BucketTarget): Promise<Answer> {
  return xmlAnswer(
    renderXml([
      'NotificationConfiguration',
      bucket.notifications.map(
        (notification): Element => [
          'QueueConfiguration',
          [
            ['Id', notification.id],
            ['Queue', notification.queueArn],
            ...notification.events.map((event): Element => ['Event', event]),
            ['Filter', [['S3Key', [filterRule('prefix', notification), filterRule('suffix', notification)]]]],
          ],
        ],
      ),
    ]),
  );
}

/**
 * Sends the message of one event to every queue that asks for it.
 *
 * @param event without its `s3:`, such as `ObjectCreated:Put`
 */
export function notifyBucket(bucket: Bucket, event: string, object: StoredObject, deliver: Deliver): void {
  for (const { id, queueArn, events, prefix, suffix } of bucket.notifications) {
    const wanted = events.some((pattern) => {
      const name = pattern.replace(/^s3:/, '');
      return name === event || (name.endsWith('*') && event.startsWith(name.slice(0, -1)));
    });
    if (wanted && object.key.startsWith(prefix) && object.key.endsWith(suffix)) {
      deliver(queueArn, JSON.stringify({ Records: [eventRecord(bucket, event, object, id)] }));
    }
  }
}

/** The record of version 2.1 of S3's event message; keys are form-encoded in it, spaces as `+`. */
function eventRecord(bucket: Bucket, event: string, object: StoredObject, configurationId: string): object {
  const key = encodeURIComponent(object.key).replaceAll('%20', '+').replaceAll('%2F', '/');
  const removed = event.startsWith('ObjectRemoved');
  return {
    eventVersion: '2.1',
    eventSource: 'aws:s3',
    awsRegion: REGION,
    eventTime: new Date().toISOString(),
    eventName: event,
    userIdentity: { principalId: 'AWS:EMULATOR' },
    requestParameters: { sourceIPAddress: '127.0.0.1' },
    responseElements: { 'x-amz-request-id': requestId(), 'x-amz-id-2': requestId() },
    s3: {
      s3SchemaVersion: '1.0',
      configurationId,
      bucket: {
        name: bucket.name,
        ownerIdentity: { principalId: 'EMULATOR' },
        arn: `arn:aws:s3:::${bucket.name}`,
      },
      object: { key, ...(!removed && { size: object.size, eTag: object.etag }), sequencer: sequencer() },
    },
  };
}

let lastSequence = 0n;

/** Grows from event to event, so that a reader can order the events of one key. */
function sequencer(): string {
  const now = BigInt(Date.now()) * 1_000_000n;
  lastSequence = now > lastSequence ? now : lastSequence + 1n;
  return lastSequence.toString(16).toUpperCase().padStart(18, '0');
}

function requestId(): string {
  return randomBytes(8).toString('hex').toUpperCase();
}

function readQueueConfiguration(element: Parsed): QueueNotification {
  const rules = new Map(
    childrenOf(element, 'Filter')
      .flatMap((filter) => childrenOf(filter, 'S3Key'))
      .flatMap((key) => childrenOf(key, 'FilterRule'))
      .map((rule) => [(textOf(rule, 'Name') ?? '').toLowerCase(), textOf(rule, 'Value') ?? '']),
  );
  return {
    id: textOf(element, 'Id') ?? requestId(),
    queueArn: textOf(element, 'Queue') ?? '',
    events: childrenOf(element, 'Event').map((event) => event.text),
    prefix: rules.get('prefix') ?? '',
    suffix: rules.get('suffix') ?? '',
  };
}

function filterRule(name: 'prefix' | 'suffix', notification: QueueNotification): Element | undefined {
  const value = notification[name];
  if (value === '') return undefined;
  return [
    'FilterRule',
    [
      ['Name', name],
      ['Value', value],
    ],
  ];
}

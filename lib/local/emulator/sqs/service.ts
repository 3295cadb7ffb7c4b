import { randomUUID } from 'node:crypto';
import type { Random } from '../faults.ts';
import { ACCOUNT, ServiceError } from '../wire.ts';
import { type MessageAttributes, requireMessageAttributes, requireQueueAttributes } from './attributes.ts';
import { type Message, Queue, type QueueChaos } from './queue.ts';
import {
  type Input,
  MAXIMUM_BATCH,
  type Output,
  optionalInteger,
  requireHandle,
  runBatch,
} from './requests.ts';

/** The characters that XML 1.0 allows, which is what SQS takes. */
const ILLEGAL_CHARACTERS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

/** SQS's JSON protocol over standard queues in memory. */
export class SqsService {
  /** What happens to messages on their way in; may be changed while running. */
  chaos: QueueChaos;
  private readonly queues = new Map<string, Queue>();
  private readonly random: Random;
  private readonly tally = { lost: 0, duplicated: 0, delayed: 0 };
  private readonly endpoint: () => string;

  constructor(endpoint: () => string, random: Random, chaos: QueueChaos = {}) {
    this.endpoint = endpoint;
    this.random = random;
    this.chaos = chaos;
  }

  /** How many messages chaos has lost, repeated and delayed. */
  counts(): Readonly<typeof this.tally> {
    return { ...this.tally };
  }

  close(): void {
    for (const queue of this.queues.values()) queue.close();
  }

  /** Puts a message into the queue of this ARN, as S3 does for bucket events. */
  deliver(arn: string, body: string): boolean {
    const queue = this.byArn(arn);
    if (queue) this.sendOne(queue, { MessageBody: body });
    return queue !== undefined;
  }

  /** The queue that a request names, for fault rules. */
  resourceOf(input: Input): string {
    return String(input.QueueName ?? input.QueueUrl ?? '').replace(/^.*\//, '');
  }

  async run(action: string, input: Input, gone: AbortSignal): Promise<Output> {
    switch (action) {
      case 'CreateQueue':
        return this.createQueue(input);
      case 'GetQueueUrl':
        return { QueueUrl: this.urlOf(this.named(input.QueueName)) };
      case 'ListQueues':
        return {
          QueueUrls: [...this.queues.values()]
            .filter((queue) => queue.name.startsWith(input.QueueNamePrefix ?? ''))
            .map((queue) => this.urlOf(queue)),
        };
      case 'ReceiveMessage':
        return this.receive(input, gone);
      case 'StartMessageMoveTask':
        return this.moveMessages(input);
      default:
        return this.runOnQueue(action, this.named(this.resourceOf(input)), input);
    }
  }

  private runOnQueue(action: string, queue: Queue, input: Input): Output {
    switch (action) {
      case 'DeleteQueue':
        queue.close();
        this.queues.delete(queue.name);
        return {};
      case 'PurgeQueue':
        queue.purge();
        return {};
      case 'GetQueueAttributes':
        return { Attributes: pick(describeQueue(queue), input.AttributeNames ?? []) };
      case 'SetQueueAttributes':
        queue.configure(requireQueueAttributes(input.Attributes ?? {}));
        return {};
      case 'SendMessage':
        return this.sendOne(queue, input);
      case 'SendMessageBatch':
        return runBatch(input, (entry) => this.sendOne(queue, entry), queue.seconds('MaximumMessageSize'));
      case 'DeleteMessage':
        queue.delete(requireHandle(input));
        return {};
      case 'DeleteMessageBatch':
        return runBatch(input, (entry) => {
          queue.delete(requireHandle(entry));
          return {};
        });
      case 'ChangeMessageVisibility':
        changeVisibility(queue, input);
        return {};
      case 'ChangeMessageVisibilityBatch':
        return runBatch(input, (entry) => {
          changeVisibility(queue, entry);
          return {};
        });
      default:
        throw new ServiceError(400, 'InvalidAction', `the emulator does not implement ${action}`);
    }
  }

  private createQueue(input: Input): Output {
    const name = String(input.QueueName ?? '');
    const given = input.Attributes ?? {};
    if (name.endsWith('.fifo') || given.FifoQueue === 'true') {
      throw new ServiceError(400, 'UnsupportedOperation', 'only standard queues are emulated');
    }
    if (!/^[\w-]{1,80}$/.test(name)) {
      throw new ServiceError(
        400,
        'InvalidParameterValue',
        'Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length',
      );
    }
    const attributes = requireQueueAttributes(given);
    const existing = this.queues.get(name);
    if (existing && Object.entries(attributes).some(([key, value]) => existing.attributes[key] !== value)) {
      throw new ServiceError(
        400,
        'QueueNameExists',
        'A queue already exists with the same name and a different value for attribute(s)',
      );
    }
    const queue = existing ?? new Queue(name, attributes, (arn) => this.byArn(arn));
    this.queues.set(name, queue);
    return { QueueUrl: this.urlOf(queue) };
  }

  private sendOne(queue: Queue, input: Input): Output {
    const body = input.MessageBody;
    if (typeof body !== 'string' || body === '') {
      throw new ServiceError(400, 'MissingParameter', 'The request must contain the parameter MessageBody.');
    }
    if (ILLEGAL_CHARACTERS.test(body)) {
      throw new ServiceError(400, 'InvalidMessageContents', 'Invalid characters found in the message body');
    }
    const attributes: MessageAttributes = input.MessageAttributes ?? {};
    const size = Buffer.byteLength(body) + requireMessageAttributes(attributes);
    const limit = queue.seconds('MaximumMessageSize');
    if (size > limit) {
      throw new ServiceError(
        400,
        'InvalidParameterValue',
        `One or more parameters are invalid. Reason: Message must be shorter than ${limit} bytes.`,
      );
    }
    const delaySeconds = optionalInteger(input.DelaySeconds, 'DelaySeconds', 0, 900);
    const message = queue.sendThroughChaos(
      { body, attributes, delaySeconds },
      this.chaos,
      this.random,
      (event) => {
        this.tally[event] += 1;
      },
    );
    return {
      MessageId: message.id,
      MD5OfMessageBody: message.bodyMd5,
      ...(message.attributesMd5 && { MD5OfMessageAttributes: message.attributesMd5 }),
    };
  }

  private async receive(input: Input, gone: AbortSignal): Promise<Output> {
    const queue = this.named(this.resourceOf(input));
    const maximum = optionalInteger(input.MaxNumberOfMessages, 'MaxNumberOfMessages', 1, MAXIMUM_BATCH) ?? 1;
    const visibility = optionalInteger(input.VisibilityTimeout, 'VisibilityTimeout', 0, 43_200);
    const wait =
      optionalInteger(input.WaitTimeSeconds, 'WaitTimeSeconds', 0, 20) ??
      queue.seconds('ReceiveMessageWaitTimeSeconds');
    const messages = await queue.receive(maximum, visibility, wait, gone);
    const wanted: string[] = [...(input.MessageSystemAttributeNames ?? []), ...(input.AttributeNames ?? [])];
    const rendered = messages.map((message) =>
      renderMessage(message, wanted, input.MessageAttributeNames ?? []),
    );
    return rendered.length > 0 ? { Messages: rendered } : {};
  }

  /** Dead-letter redrive: at once, to the given queue or to where each message came from. */
  private moveMessages(input: Input): Output {
    const source = this.byArn(String(input.SourceArn ?? ''));
    if (!source) throw queueMissing();
    const destination =
      input.DestinationArn === undefined ? undefined : this.byArn(String(input.DestinationArn));
    if (input.DestinationArn !== undefined && !destination) throw queueMissing();
    for (const message of source.drain()) {
      const target = destination ?? this.byArn(message.deadLetterSource ?? '') ?? source;
      message.receiveCount = 0;
      target.admit(message);
    }
    return {
      TaskHandle: Buffer.from(JSON.stringify({ taskId: randomUUID(), sourceArn: source.arn })).toString(
        'base64',
      ),
    };
  }

  private named(name: string): Queue {
    const queue = this.queues.get(name);
    if (!queue) throw queueMissing();
    return queue;
  }

  private byArn(arn: string): Queue | undefined {
    const queue = this.queues.get(arn.slice(arn.lastIndexOf(':') + 1));
    return queue?.arn === arn ? queue : undefined;
  }

  private urlOf(queue: Queue): string {
    return `${this.endpoint()}/${ACCOUNT}/${queue.name}`;
  }
}

function describeQueue(queue: Queue): Record<string, string> {
  const { visible, notVisible, delayed } = queue.counts();
  return {
    ...queue.attributes,
    QueueArn: queue.arn,
    ApproximateNumberOfMessages: String(visible),
    ApproximateNumberOfMessagesNotVisible: String(notVisible),
    ApproximateNumberOfMessagesDelayed: String(delayed),
    CreatedTimestamp: String(Math.floor(queue.created / 1000)),
    LastModifiedTimestamp: String(Math.floor(queue.modified / 1000)),
  };
}

function renderMessage(
  message: Message,
  wanted: readonly string[],
  wantedAttributes: readonly string[],
): Output {
  const system: Record<string, string> = {
    ApproximateFirstReceiveTimestamp: String(message.firstReceived),
    ApproximateReceiveCount: String(message.receiveCount),
    SenderId: ACCOUNT,
    SentTimestamp: String(message.sent),
    ...(message.deadLetterSource && { DeadLetterQueueSourceArn: message.deadLetterSource }),
  };
  const matches = (name: string): boolean =>
    wantedAttributes.some(
      (pattern) =>
        pattern === 'All' ||
        pattern === '.*' ||
        pattern === name ||
        (pattern.endsWith('.*') && name.startsWith(pattern.slice(0, -1))),
    );
  const attributes = Object.fromEntries(Object.entries(message.attributes).filter(([name]) => matches(name)));
  const picked = pick(system, wanted);
  return {
    MessageId: message.id,
    ReceiptHandle: message.handle,
    Body: message.body,
    MD5OfBody: message.bodyMd5,
    ...(picked && { Attributes: picked }),
    ...(Object.keys(attributes).length > 0 && {
      MessageAttributes: attributes,
      MD5OfMessageAttributes: message.attributesMd5,
    }),
  };
}

function pick(
  all: Readonly<Record<string, string>>,
  names: readonly string[],
): Record<string, string> | undefined {
  if (names.includes('All')) return { ...all };
  const picked = Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
  return Object.keys(picked).length > 0 ? picked : undefined;
}

function changeVisibility(queue: Queue, input: Input): void {
  const seconds = optionalInteger(input.VisibilityTimeout, 'VisibilityTimeout', 0, 43_200);
  if (seconds === undefined) {
    throw new ServiceError(
      400,
      'MissingParameter',
      'The request must contain the parameter VisibilityTimeout.',
    );
  }
  queue.changeVisibility(requireHandle(input), seconds);
}

function queueMissing(): ServiceError {
  return new ServiceError(400, 'QueueDoesNotExist', 'The specified queue does not exist.');
}

import { randomUUID } from 'node:crypto';
import type { Random } from '../faults.ts';
import { ACCOUNT, REGION, ServiceError } from '../wire.ts';
import {
  attributesMd5,
  bodyMd5,
  defaultQueueAttributes,
  type MessageAttributes,
  parseRedrivePolicy,
  type RedrivePolicy,
} from './attributes.ts';
import { VisibilityHeap } from './visibility-heap.ts';

/** What may happen to a message on its way into a queue; probabilities from 0 to 1. */
export interface QueueChaos {
  readonly lose?: number;
  readonly duplicate?: number;
  readonly delay?: { readonly probability: number; readonly maximumSeconds: number };
}

export interface Message {
  readonly id: string;
  readonly body: string;
  readonly bodyMd5: string;
  readonly attributes: MessageAttributes;
  readonly attributesMd5: string | undefined;
  /** Milliseconds since 1970, as all times here. */
  readonly sent: number;
  receiveCount: number;
  firstReceived: number | undefined;
  visibleAt: number;
  sequence: number;
  /** The handle of the latest receive; earlier ones are stale. */
  handle: string | undefined;
  /** ARN of the queue that gave the message up, in a dead-letter queue. */
  deadLetterSource: string | undefined;
}

interface Waiter {
  readonly maximum: number;
  readonly visibilitySeconds: number | undefined;
  resolve(messages: Message[]): void;
}

/** One standard queue, in memory: at least once, in no promised order. */
export class Queue {
  readonly name: string;
  readonly arn: string;
  readonly created = Date.now();
  attributes: Record<string, string>;
  modified = this.created;
  private readonly findQueue: (arn: string) => Queue | undefined;
  private readonly messages = new Map<string, Message>();
  private heap = new VisibilityHeap<Message>();
  private readonly waiters = new Set<Waiter>();
  private alarm: NodeJS.Timeout | undefined;
  private sequence = 0;
  private redrive: RedrivePolicy | undefined;

  constructor(
    name: string,
    attributes: Record<string, string>,
    findQueue: (arn: string) => Queue | undefined,
  ) {
    this.name = name;
    this.arn = `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}`;
    this.attributes = defaultQueueAttributes();
    this.findQueue = findQueue;
    this.configure(attributes);
  }

  configure(attributes: Record<string, string>): void {
    this.attributes = { ...this.attributes, ...attributes };
    if (this.attributes.RedrivePolicy === '') delete this.attributes.RedrivePolicy;
    this.redrive = this.attributes.RedrivePolicy
      ? parseRedrivePolicy(this.attributes.RedrivePolicy)
      : undefined;
    this.modified = Date.now();
  }

  seconds(attribute: string): number {
    return Number(this.attributes[attribute]);
  }

  send(body: string, attributes: MessageAttributes, delaySeconds: number | undefined): Message {
    const now = Date.now();
    const message: Message = {
      id: randomUUID(),
      body,
      bodyMd5: bodyMd5(body),
      attributes,
      attributesMd5: attributesMd5(attributes),
      sent: now,
      receiveCount: 0,
      firstReceived: undefined,
      visibleAt: now,
      sequence: 0,
      handle: undefined,
      deadLetterSource: undefined,
    };
    this.admit(message, now + (delaySeconds ?? this.seconds('DelaySeconds')) * 1000);
    return message;
  }

  /** The same, over a network that loses, repeats and delays; the sender sees success in any case. */
  sendThroughChaos(
    message: { body: string; attributes: MessageAttributes; delaySeconds: number | undefined },
    chaos: QueueChaos,
    random: Random,
    count: (event: 'lost' | 'duplicated' | 'delayed') => void,
  ): Message {
    const strikes = (probability = 0): boolean => probability > 0 && random() < probability;
    const sent = this.send(message.body, message.attributes, message.delaySeconds);
    if (strikes(chaos.lose)) {
      this.messages.delete(sent.id);
      count('lost');
    } else if (strikes(chaos.duplicate)) {
      this.send(message.body, message.attributes, message.delaySeconds);
      count('duplicated');
    } else if (chaos.delay && strikes(chaos.delay.probability)) {
      this.show(sent, sent.visibleAt + random() * chaos.delay.maximumSeconds * 1000);
      count('delayed');
    }
    // A receiver that waits is answered only now, so that a lost message is not delivered first.
    return sent;
  }

  /** Up to `maximum` messages, waiting for the first one at most `waitSeconds` or until the client goes away. */
  receive(
    maximum: number,
    visibilitySeconds: number | undefined,
    waitSeconds: number,
    gone: AbortSignal,
  ): Promise<Message[]> {
    const ready = this.take(maximum, visibilitySeconds);
    if (ready.length > 0 || waitSeconds === 0 || gone.aborted) return Promise.resolve(ready);
    return new Promise((resolve) => {
      const finish = (messages: Message[]): void => {
        clearTimeout(patience);
        gone.removeEventListener('abort', leave);
        this.waiters.delete(waiter);
        resolve(messages);
      };
      const leave = (): void => finish([]);
      const waiter: Waiter = { maximum, visibilitySeconds, resolve: finish };
      const patience = setTimeout(leave, waitSeconds * 1000);
      gone.addEventListener('abort', leave);
      this.waiters.add(waiter);
      this.arm();
    });
  }

  /** Deletes by receipt handle. A stale handle deletes nothing and is no error, as in SQS's standard queues. */
  delete(handle: string): void {
    const message = this.messages.get(messageIdOf(handle));
    if (message?.handle === handle) this.messages.delete(message.id);
  }

  changeVisibility(handle: string, seconds: number): void {
    const message = this.messages.get(messageIdOf(handle));
    if (message?.handle !== handle || message.visibleAt <= Date.now()) {
      throw new ServiceError(
        400,
        'InvalidParameterValue',
        `Value ${handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.`,
      );
    }
    this.show(message, Date.now() + seconds * 1000);
  }

  purge(): void {
    this.messages.clear();
    this.heap = new VisibilityHeap();
  }

  /** Answers all who wait, with nothing. */
  close(): void {
    for (const waiter of [...this.waiters]) waiter.resolve([]);
    clearTimeout(this.alarm);
  }

  counts(): { visible: number; notVisible: number; delayed: number } {
    const now = Date.now();
    const counts = { visible: 0, notVisible: 0, delayed: 0 };
    for (const message of this.messages.values()) {
      if (message.visibleAt <= now) counts.visible += 1;
      else if (message.handle === undefined) counts.delayed += 1;
      else counts.notVisible += 1;
    }
    return counts;
  }

  /** Takes every message out, for a move to another queue. */
  drain(): Message[] {
    const messages = [...this.messages.values()];
    this.purge();
    return messages;
  }

  /** Lets a message in that exists already: one given up by another queue, or moved. */
  admit(message: Message, visibleAt = Date.now()): void {
    message.handle = undefined;
    this.messages.set(message.id, message);
    this.show(message, visibleAt);
  }

  private show(message: Message, at: number): void {
    message.visibleAt = at;
    message.sequence = ++this.sequence;
    this.heap.push({ at, sequence: message.sequence, item: message });
    if (this.waiters.size > 0) this.arm();
  }

  /** Sets the alarm for the next message to become visible, while somebody waits for one. */
  private arm(): void {
    clearTimeout(this.alarm);
    const next = this.next();
    if (!next || this.waiters.size === 0) return;
    this.alarm = setTimeout(
      () => {
        for (const waiter of this.waiters) {
          const messages = this.take(waiter.maximum, waiter.visibilitySeconds);
          if (messages.length === 0) break;
          waiter.resolve(messages);
        }
        this.arm();
      },
      Math.max(next.visibleAt - Date.now(), 0),
    );
  }

  private next(): Message | undefined {
    for (let top = this.heap.peek(); top; top = this.heap.peek()) {
      if (this.messages.get(top.item.id) === top.item && top.item.sequence === top.sequence) return top.item;
      this.heap.pop();
    }
    return undefined;
  }

  private take(maximum: number, visibilitySeconds = this.seconds('VisibilityTimeout')): Message[] {
    const now = Date.now();
    const taken: Message[] = [];
    while (taken.length < maximum) {
      const message = this.next();
      if (!message || message.visibleAt > now) break;
      this.heap.pop();
      if (message.sent + this.seconds('MessageRetentionPeriod') * 1000 < now)
        this.messages.delete(message.id);
      else if (!this.giveUp(message)) {
        message.receiveCount += 1;
        message.firstReceived ??= now;
        message.handle = Buffer.from(`${message.id}/${randomUUID()}`).toString('base64');
        taken.push(message);
      }
    }
    for (const message of taken) this.show(message, now + visibilitySeconds * 1000);
    return taken;
  }

  /** Moves a message that was received often enough to the dead-letter queue. */
  private giveUp(message: Message): boolean {
    if (!this.redrive || message.receiveCount < this.redrive.maxReceiveCount) return false;
    const target = this.findQueue(this.redrive.deadLetterTargetArn);
    if (!target) return false;
    this.messages.delete(message.id);
    message.deadLetterSource = this.arn;
    target.admit(message);
    return true;
  }
}

function messageIdOf(handle: string): string {
  const [id, nonce] = Buffer.from(handle, 'base64').toString('utf8').split('/');
  if (!id || !nonce) {
    throw new ServiceError(404, 'ReceiptHandleIsInvalid', 'The input receipt handle is invalid.');
  }
  return id;
}

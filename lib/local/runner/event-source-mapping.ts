import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { Chaos } from './chaos.ts';
import { failedMessageIds, sqsEvent } from './events.ts';
import type { FunctionHost } from './function-host.ts';
import type { QueueEvent } from './manifest.ts';
import { Slots } from './slots.ts';

export interface MappingCounts {
  readonly received: number;
  /** Succeeded and deleted. */
  readonly deleted: number;
  /** Failed, and left to come back. */
  readonly returned: number;
  /** Receives and deletions that SQS refused. */
  readonly queueErrors: number;
}

/** SQS waits at most twenty seconds for a message. */
const LONG_POLL_SECONDS = 20;
/** Breath after a failed receive, so that a queue that is down is not hammered. */
const ERROR_PAUSE_MS = 250;

/** Takes messages from one queue and hands them to one function, by the rules of Lambda's event source mappings. */
export class EventSourceMapping {
  private readonly host: FunctionHost;
  private readonly event: QueueEvent;
  private readonly sqs: SQSClient;
  private readonly queue: { readonly url: string; readonly arn: string; readonly region: string };
  private readonly chaos: Chaos;
  private readonly slots: Slots;
  private readonly stopping = new AbortController();
  private readonly tally = { received: 0, deleted: 0, returned: 0, queueErrors: 0 };
  private readonly inWork = new Set<Promise<void>>();
  private loop: Promise<void> = Promise.resolve();

  constructor(
    host: FunctionHost,
    event: QueueEvent,
    sqs: SQSClient,
    queue: { url: string; arn: string; region: string },
    chaos: Chaos,
  ) {
    this.host = host;
    this.event = event;
    this.sqs = sqs;
    this.queue = queue;
    this.chaos = chaos;
    this.slots = new Slots(Math.min(event.maximumConcurrency ?? host.concurrency, host.concurrency));
  }

  get queueName(): string {
    return this.event.queue;
  }

  counts(): MappingCounts {
    return { ...this.tally };
  }

  start(): void {
    this.loop = this.poll();
  }

  /** Takes no more messages; resolves when those taken are done with. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
    while (this.inWork.size > 0) await Promise.all(this.inWork);
  }

  private async poll(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      while (this.inWork.size >= this.slots.limit) await Promise.race(this.inWork);
      if (this.stopping.signal.aborted) break;
      const batch = await this.gather();
      if (batch.length > 0) this.track(this.disturb(batch));
    }
  }

  /** Receives until the batch is full or its window is over. */
  private async gather(): Promise<Message[]> {
    const size = this.event.batchSize ?? 10;
    const windowMs = (this.event.batchingWindowSeconds ?? 0) * 1000;
    const batch = await this.receive(size, LONG_POLL_SECONDS);
    const end = Date.now() + windowMs;
    while (batch.length > 0 && batch.length < size && Date.now() < end && !this.stopping.signal.aborted) {
      batch.push(
        ...(await this.receive(size - batch.length, Math.min((end - Date.now()) / 1000, LONG_POLL_SECONDS))),
      );
    }
    return batch;
  }

  private async receive(maximum: number, waitSeconds: number): Promise<Message[]> {
    try {
      const { Messages = [] } = await this.sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: this.queue.url,
          MaxNumberOfMessages: maximum,
          WaitTimeSeconds: Math.max(Math.floor(waitSeconds), 0),
          MessageAttributeNames: ['All'],
          MessageSystemAttributeNames: ['All'],
        }),
        { abortSignal: this.stopping.signal },
      );
      if (Messages.length === 0 && waitSeconds < 1) await sleep(50);
      this.tally.received += Messages.length;
      return Messages;
    } catch {
      if (!this.stopping.signal.aborted) {
        this.tally.queueErrors += 1;
        await sleep(ERROR_PAUSE_MS);
      }
      return [];
    }
  }

  private track(work: Promise<void>): void {
    const tracked: Promise<void> = work.finally(() => this.inWork.delete(tracked));
    this.inWork.add(tracked);
  }

  /** Hands a batch over, less what chaos takes out of it, once more where chaos says so. */
  private async disturb(batch: Message[]): Promise<void> {
    const dropped = batch.filter(() => this.chaos.drop());
    if (dropped.length > 0) await this.remove(dropped);
    const now: Message[] = [];
    for (const message of batch.filter((each) => !dropped.includes(each))) {
      const delay = this.chaos.delay();
      if (delay === 0) now.push(message);
      else this.track(sleep(delay).then(() => this.hand([message])));
    }
    if (now.length === 0) return;
    const again = this.chaos.duplicateAfter();
    if (again !== undefined) this.track(sleep(again).then(() => this.hand(now)));
    await this.hand(now);
  }

  private async hand(batch: readonly Message[]): Promise<void> {
    const event = sqsEvent(batch, this.queue.arn, this.queue.region);
    const { value, error } = await this.slots.run(() => this.host.invoke(event));
    const ids = batch.map((message) => message.MessageId as string);
    const failed = error
      ? new Set(ids)
      : this.event.reportBatchItemFailures
        ? failedMessageIds(value, ids)
        : new Set<string>();
    this.tally.returned += failed.size;
    const done = batch.filter((message) => !failed.has(message.MessageId as string));
    if (done.length > 0) await this.remove(done);
  }

  private async remove(messages: readonly Message[]): Promise<void> {
    const Entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
    try {
      const { Successful = [], Failed = [] } = await this.sqs.send(
        new DeleteMessageBatchCommand({ QueueUrl: this.queue.url, Entries }),
      );
      this.tally.deleted += Successful.length;
      this.tally.queueErrors += Failed.length;
    } catch {
      // They come back after the visibility time-out: at least once.
      this.tally.queueErrors += 1;
    }
  }
}

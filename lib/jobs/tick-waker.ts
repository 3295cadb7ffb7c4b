import { setTimeout } from 'node:timers/promises';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { SkytoolsError } from '../platform/errors.ts';
import type { JobOf } from './messages.ts';
import { queueVariable } from './sender.ts';

export interface TickWakerOptions {
  /** URL of the queue of tick messages; default: `SKYTOOLS_QUEUE_TICK` of the environment. */
  queueUrl?: string;
  /** Calls that come within this time, in milliseconds, share one message. */
  everyMs?: number;
  /** Default: region, credentials and endpoint as the AWS SDK finds them in the environment. */
  sqs?: SQSClient;
}

/** A tick takes some ten milliseconds: waking more often only makes them queue up. */
const DEFAULT_EVERY_MS = 50;

/**
 * Wakes the tick of a database, for producers that cannot wait for the next one. Call it after the commit: a tick that runs
 * before it does not see the events. Costs one SQS request, however many events; a burst of calls shares one message.
 *
 * @example
 * ```ts
 * const waker = new TickWaker('app');
 * await transaction(client, () => orders.insert(client, { type: 'placed', data }));
 * await waker.wake();
 * ```
 */
export class TickWaker {
  readonly #message: string;
  readonly #queueUrl: string;
  readonly #everyMs: number;
  readonly #sqs: SQSClient;
  /** Earliest time of the next message. */
  #notBefore = 0;
  /** The message that is still to be sent, and speaks for all who call until then. */
  #next: Promise<boolean> | undefined;

  /**
   * @param database its name in the configuration of the deployment
   * @throws SkytoolsError JOB_QUEUE_UNKNOWN
   */
  constructor(database: string, options: TickWakerOptions = {}) {
    const job: JobOf<'tick'> = { v: 1, kind: 'tick', database };
    this.#message = JSON.stringify(job);
    const url = options.queueUrl ?? process.env[queueVariable('tick')];
    if (!url) {
      throw new SkytoolsError('JOB_QUEUE_UNKNOWN', 'the queue of tick messages is not known', {
        subject: { database },
        hint: `give its URL as queueUrl or in ${queueVariable('tick')}; it is an output of the deployed stack`,
      });
    }
    this.#queueUrl = url;
    this.#everyMs = options.everyMs ?? DEFAULT_EVERY_MS;
    this.#sqs = options.sqs ?? new SQSClient({ maxAttempts: 2 });
  }

  /**
   * Sends a tick message, or shares one that is still to be sent. Never rejects: the events are committed, and the next tick
   * of the schedule finds them.
   *
   * @returns whether a message was sent after this call
   */
  wake(): Promise<boolean> {
    this.#next ??= this.#sendAfter(Math.max(0, this.#notBefore - performance.now()));
    return this.#next;
  }

  async #sendAfter(waitMs: number): Promise<boolean> {
    // Also without a wait this goes on only when the caller has noted the promise.
    await (waitMs > 0 ? setTimeout(waitMs) : undefined);
    this.#next = undefined;
    this.#notBefore = performance.now() + this.#everyMs;
    try {
      await this.#sqs.send(new SendMessageCommand({ QueueUrl: this.#queueUrl, MessageBody: this.#message }));
      return true;
    } catch {
      return false;
    }
  }
}

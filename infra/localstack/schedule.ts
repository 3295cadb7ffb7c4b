import { DeleteMessageCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Runner } from '../../lib/local/runner/runner.ts';

const LONG_POLL_SECONDS = 20;

/** Hands the events of EventBridge rules, which arrive in a queue, on to the function that the rules call. */
export class ScheduleBridge {
  readonly #sqs = new SQSClient();
  readonly #stop = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  /** Events that a rule has sent so far. */
  fired = 0;

  start(queueUrl: string, runner: Runner, functionName: string): void {
    this.#loop = this.#poll(queueUrl, runner, functionName);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
    this.#sqs.destroy();
  }

  async #poll(QueueUrl: string, runner: Runner, functionName: string): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const receive = new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: LONG_POLL_SECONDS });
      const { Messages = [] } = await this.#sqs
        .send(receive, { abortSignal: signal })
        .catch((error: unknown) => {
          if (signal.aborted) return { Messages: [] };
          throw error;
        });
      for (const { Body, ReceiptHandle } of Messages) {
        this.fired++;
        await runner.invoke(functionName, JSON.parse(Body as string));
        await this.#sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
      }
    }
  }
}

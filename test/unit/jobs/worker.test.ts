import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Context, SQSEvent } from 'aws-lambda';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { JobOf } from '../../../lib/jobs/messages.ts';
import type { Sender, Wakeup } from '../../../lib/jobs/sender.ts';
import { type Job, jobHandler } from '../../../lib/jobs/worker.ts';
import { BusyError, DeadlineError, SkytoolsError } from '../../../lib/platform/errors.ts';

beforeAll(() => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'skytools-config-')), 'config.json');
  writeFileSync(file, JSON.stringify({ databases: {}, consumers: {}, londiste: {}, walmgr: {} }));
  vi.stubEnv('SKYTOOLS_CONFIG_FILE', file);
});

class Recorder implements Sender {
  readonly sent: Wakeup[] = [];
  send(wakeups: readonly Wakeup[]): Promise<void> {
    this.sent.push(...wakeups);
    return Promise.resolve();
  }
}

const event = (...bodies: string[]): SQSEvent => ({
  Records: bodies.map((body, index) => ({
    messageId: `m${index}`,
    receiptHandle: `r${index}`,
    body,
    attributes: {
      ApproximateReceiveCount: '1',
      SentTimestamp: '0',
      SenderId: 'x',
      ApproximateFirstReceiveTimestamp: '0',
    },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:maintain',
    awsRegion: 'us-east-1',
  })),
});
const context = (ms = 60_000) => ({ getRemainingTimeInMillis: () => ms }) as Context;
const message = (database: string) => JSON.stringify({ v: 1, kind: 'maintain', database });
const run = (job: Job<'maintain'>, sender: Sender, ...bodies: string[]) =>
  jobHandler('maintain', import.meta.url, job, sender)(event(...bodies), context());

describe('a job handler', () => {
  it('reports a failing message alone, and the others are done', async () => {
    const done: string[] = [];
    const job = async ({ database }: JobOf<'maintain'>) => {
      if (database === 'bad') throw new SkytoolsError('X', 'failed on purpose');
      done.push(database);
      return [];
    };
    const result = await run(job, new Recorder(), message('a'), message('bad'), message('c'));
    expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: 'm1' }] });
    expect(done).toEqual(['a', 'c']);
  });

  it('fails a poison message so that it reaches the dead letters, and goes on', async () => {
    const result = await run(() => Promise.resolve([]), new Recorder(), 'poison', message('a'));
    expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: 'm0' }] });
  });

  it('ends quietly where another invocation holds the unit', async () => {
    const sender = new Recorder();
    const result = await run(() => Promise.reject(new BusyError('maintenance of a')), sender, message('a'));
    expect(result.batchItemFailures).toEqual([]);
    expect(sender.sent).toEqual([]);
  });

  it('calls for the same unit again after a deadline, a bounded number of times', async () => {
    let body = message('a');
    for (let runs = 0; ; runs++) {
      const sender = new Recorder();
      const result = await run(() => Promise.reject(new DeadlineError('maintenance')), sender, body);
      expect(result.batchItemFailures).toEqual([]);
      if (sender.sent.length === 0) {
        expect(runs).toBeGreaterThan(0);
        return;
      }
      expect(runs).toBeLessThan(10);
      body = JSON.stringify(sender.sent[0]!.job);
    }
  });

  it('counts work as done even if the wake-up for the next could not be sent: it is committed', async () => {
    const broken: Sender = { send: () => Promise.reject(new Error('sqs is down')) };
    const next: Wakeup = { job: { v: 1, kind: 'maintain', database: 'a' } };
    const result = await run(() => Promise.resolve([next]), broken, message('a'));
    expect(result.batchItemFailures).toEqual([]);
  });

  it('does not begin a message for which no time is left', async () => {
    const job = vi.fn(() => Promise.resolve([]));
    const handler = jobHandler('maintain', import.meta.url, job, new Recorder());
    await handler(event(message('a')), context(500));
    expect(job).not.toHaveBeenCalled();
  });
});

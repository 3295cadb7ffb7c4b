import { cp, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ReceiveMessageCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { functions } from '../../../infra/functions.ts';
import { queueVariable } from '../../../lib/jobs/sender.ts';
import { type Emulator, startEmulator } from '../../../lib/local/emulator/server.ts';
import { scheduledEvent, sqsEvent } from '../../../lib/local/runner/events.ts';
import { createQueues, type QueueHandle } from '../../../lib/local/runner/queues.ts';
import { Lambda, type LambdaOptions } from '../../support/lambda.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

/* The bundles in the runtime interface client that runs inside Lambda itself. `npm run test:ric` installs it; without it
   these tests are left out, and .ci/run says so. */

const CREDENTIALS = { accessKeyId: 'local', secretAccessKey: 'local-only' };

describe.runIf(process.env.SKYTOOLS_TEST_RIC === '1')('the bundles in the runtime client of Lambda', () => {
  let directory: string;
  let taskRoot: string;
  let emulator: Emulator;
  let sqs: SQSClient;
  let tickQueue: QueueHandle;
  let queues = 0;
  let database: TestDatabase;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'skytools-ric-'));
    taskRoot = path.join(directory, 'task');
    await cp('dist/functions', path.join(taskRoot, 'dist/functions'), { recursive: true });
    await mkdir(path.join(directory, 's3'));
    emulator = await startEmulator({ ...CREDENTIALS, directory: path.join(directory, 's3') });
    const { endpoint, region } = emulator;
    sqs = new SQSClient({ endpoint, region, credentials: CREDENTIALS });
    database = await createDatabase();
    environment = {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      SKYTOOLS_SOURCE_URL: database.url,
      SKYTOOLS_TARGET_URL: database.url,
    };
  });

  // A message that failed comes back, which is not for the next test.
  beforeEach(async () => {
    const name = `tick-${++queues}`;
    tickQueue = (await createQueues(sqs, [{ name, visibilityTimeoutSeconds: 300 }])).get(name)!;
    environment[queueVariable('tick')] = tickQueue.url;
  });

  afterAll(async () => {
    sqs?.destroy();
    await emulator?.close();
    await database?.drop();
    await rm(directory, { recursive: true, force: true });
  });

  async function lambda(name: string, more: Partial<LambdaOptions> = {}): Promise<Lambda> {
    const handler = `dist/functions/${name}/index.handler`;
    const started = await Lambda.start({ taskRoot, handler, environment, ...more });
    onTestFinished(() => started.close());
    return started;
  }

  /** Messages that the queue has now, as an event source mapping takes them. */
  async function receive() {
    const command = new ReceiveMessageCommand({
      QueueUrl: tickQueue.url,
      MaxNumberOfMessages: 10,
      MessageSystemAttributeNames: ['All'],
    });
    return (await sqs.send(command)).Messages ?? [];
  }

  const send = (body: string) =>
    sqs.send(new SendMessageCommand({ QueueUrl: tickQueue.url, MessageBody: body }));

  /** A directory as a task root, with one function that a test has spoilt. */
  async function spoilt(spoil: (bundle: string) => Promise<unknown>): Promise<string> {
    const root = await mkdtemp(path.join(directory, 'spoilt-'));
    const target = path.join(root, 'dist/functions/tick');
    await cp(path.join(taskRoot, 'dist/functions/tick'), target, { recursive: true });
    await spoil(path.join(target, 'index.mjs'));
    return root;
  }

  it.each(['commonjs', 'module'])(
    'every one loads, below a package.json that says "type": "%s" as well',
    async (type) => {
      await writeFile(path.join(taskRoot, 'package.json'), JSON.stringify({ type }));
      onTestFinished(() => rm(path.join(taskRoot, 'package.json')));
      for (const { name } of functions) {
        const started = await lambda(name, {
          environment: { ...environment, SKYTOOLS_CONFIG_FILE: '/none' },
        });
        // An event that none understands: what comes back shows that the handler was called.
        const outcome = await started.invoke({ Records: [], headers: {} });
        const reported = 'error' in outcome ? outcome.error.errorMessage : 'answered';
        expect([name, reported]).toEqual([name, 'the bundled configuration cannot be read']);
      }
    },
  );

  it('an SQS event: the message that fails is reported alone, and the others are done', async () => {
    await database.query(`select pgq.create_queue('orders')`);
    await send('{"v":1,"kind":"tick","database":"source"}');
    await send('not a message');
    const messages = await receive();
    expect(messages).toHaveLength(2);
    const broken = messages.find(({ Body }) => Body === 'not a message')!;
    const tick = await lambda('tick');
    const outcome = await tick.invoke(sqsEvent(messages, tickQueue.arn, emulator.region));
    expect(outcome).toEqual({ response: { batchItemFailures: [{ itemIdentifier: broken.MessageId }] } });
    const [{ ticks } = {}] = await database.query(
      `select count(*)::int as ticks from pgq.tick join pgq.queue on tick_queue = queue_id where queue_name = 'orders'`,
    );
    expect(ticks).toBeGreaterThan(1);
    // The same process serves the next event.
    const { pid } = tick;
    expect(await tick.invoke({ Records: [] })).toEqual({ response: { batchItemFailures: [] } });
    expect(tick.pid).toBe(pid);
  });

  it('an EventBridge schedule: sweep wakes every database and answers what it did', async () => {
    const sweep = await lambda('sweep');
    const outcome = await sweep.invoke(scheduledEvent('sweep', emulator.region, Date.now()));
    expect(outcome).toEqual({ response: { ticked: 2, asleep: 0 } });
    expect((await receive()).map(({ Body }) => JSON.parse(Body!).database).sort()).toEqual([
      'source',
      'target',
    ]);
  });

  it('a function URL: the answer has the form of an HTTP response', async () => {
    const upload = await lambda('wal-upload');
    const body = Buffer.from('cluster=unknown\n').toString('base64');
    const outcome = await upload.invoke({ version: '2.0', headers: {}, body, isBase64Encoded: true });
    expect(outcome).toEqual({
      response: {
        statusCode: 403,
        headers: { 'content-type': 'text/plain' },
        body: expect.stringContaining('CONFIG_UNKNOWN_CLUSTER'),
      },
    });
  });

  it('a deadline that is near: the work is not begun, and its message goes on', async () => {
    await send('{"v":1,"kind":"tick","database":"source"}');
    const messages = await receive();
    // Less than a function keeps back for its end.
    const tick = await lambda('tick', { timeoutSeconds: 1.5 });
    const outcome = await tick.invoke(sqsEvent(messages, tickQueue.arn, emulator.region));
    expect(outcome).toEqual({ response: { batchItemFailures: [] } });
    const [again] = await receive();
    expect(JSON.parse(again!.Body!)).toMatchObject({ kind: 'tick', database: 'source' });
  });

  it('a time-out: the process is killed, and a new one does the work', async () => {
    const silent = await silentServer();
    const migrate = await lambda('migrate', {
      environment: { ...environment, SKYTOOLS_SOURCE_URL: `postgres://u:p@127.0.0.1:${silent}/x` },
    });
    expect(await migrate.invoke({ databases: ['source'] }, 3)).toMatchObject({
      error: {
        errorType: 'Sandbox.Timedout',
        errorMessage: expect.stringContaining('timed out after 3.00 seconds'),
      },
    });
    const { pid } = migrate;
    expect(await migrate.invoke({ databases: ['target'] })).toMatchObject({
      response: { migrations: [{ database: 'target' }] },
    });
    expect(migrate.pid).not.toBe(pid);
  });

  it('an error of the handler: reported with type, message and trace, and the process goes on', async () => {
    const migrate = await lambda('migrate');
    const outcome = await migrate.invoke({ databases: ['nowhere'] });
    expect(outcome).toMatchObject({
      error: {
        errorType: 'UsageError',
        errorMessage: 'database "nowhere" is not configured',
        trace: expect.arrayContaining([expect.stringContaining('UsageError: database "nowhere"')]),
      },
    });
    const { pid } = migrate;
    expect(await migrate.invoke({ databases: [] })).toMatchObject({ response: { migrations: [] } });
    expect(migrate.pid).toBe(pid);
  });

  it.each([
    ['that is missing', 'Runtime.ImportModuleError', (bundle: string) => rm(bundle)],
    ['that is cut off', 'Runtime.UserCodeSyntaxError', (bundle: string) => truncate(bundle, 100_000)],
    [
      'without a handler',
      'Runtime.HandlerNotFound',
      (bundle: string) => writeFile(bundle, 'export const other = 1;'),
    ],
  ])('a bundle %s: an error of the initialisation, %s', async (_, errorType, spoil) => {
    const tick = await lambda('tick', { taskRoot: await spoilt(spoil) });
    expect(await tick.invoke({ Records: [] })).toMatchObject({ error: { errorType }, header: errorType });
  });
});

/** Accepts connections and says nothing. @returns its port */
async function silentServer(): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as { port: number }).port;
}

import { createHash } from 'node:crypto';
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  type RecordedAnswer,
  type RecordedRequest,
  type RecordingServer,
  startRecordingServer,
} from '../../support/recording-server.ts';
import { consumerStack, emulatedServices } from './stack.ts';

emulatedServices();

const TOPIC = 'arn:aws:sns:us-east-1:123456789012:orders';

let aws: RecordingServer;
beforeAll(async () => {
  aws = await startRecordingServer();
  const { origin } = new URL(aws.url);
  process.env.AWS_ENDPOINT_URL_SNS = origin;
  process.env.AWS_ENDPOINT_URL_EVENTBRIDGE = origin;
});
afterAll(() => aws.close());
beforeEach(() => {
  aws.requests.length = 0;
});

const some = (count: number) =>
  Array.from({ length: count }, (_, n) => [`t${n + 1}`, `data ${n + 1}`] as const);
const json = (body: unknown, status = 200): RecordedAnswer => ({
  status,
  headers: { 'content-type': 'application/x-amz-json-1.0' },
  body: JSON.stringify(body),
});

/*
 * The three services as the recording server plays them: what a call holds, and an answer in which some entries failed.
 */
interface Call {
  entries: { id: string; message: string }[];
}
interface Service {
  configuration: () => Record<string, unknown>;
  read(request: RecordedRequest): Call;
  answer(call: Call, failed: ReadonlyMap<string, { code: string; sender: boolean }>): RecordedAnswer;
  refuse(code: string, status: number): RecordedAnswer;
}

const md5 = (text: string) => createHash('md5').update(text).digest('hex');
const numbered = (index: number, list: readonly { id: string }[]) => list[index]!.id;

const services: Record<string, Service> = {
  sqs: {
    configuration: () => ({
      kind: 'sqs',
      queueUrl: `${new URL(aws.url).origin}/123456789012/orders`,
      body: 'data',
    }),
    read: ({ body }) => ({
      entries: JSON.parse(body).Entries.map((entry: { Id: string; MessageBody: string }) => ({
        id: entry.Id,
        message: entry.MessageBody,
      })),
    }),
    answer: ({ entries }, failed) =>
      json({
        Successful: entries
          .filter(({ id }) => !failed.has(id))
          .map(({ id, message }) => ({ Id: id, MessageId: `m${id}`, MD5OfMessageBody: md5(message) })),
        Failed: [...failed].map(([Id, { code, sender }]) => ({ Id, Code: code, SenderFault: sender })),
      }),
    refuse: (code, status) => json({ __type: `com.amazonaws.sqs#${code}`, message: 'no' }, status),
  },
  sns: {
    configuration: () => ({ kind: 'sns', topicArn: TOPIC, body: 'data' }),
    read: ({ body }) => {
      const form = new URLSearchParams(body);
      const entries: Call['entries'] = [];
      for (let at = 1; ; at++) {
        const id = form.get(`PublishBatchRequestEntries.member.${at}.Id`);
        if (id === null) return { entries };
        entries.push({ id, message: form.get(`PublishBatchRequestEntries.member.${at}.Message`)! });
      }
    },
    answer: ({ entries }, failed) => ({
      status: 200,
      headers: { 'content-type': 'text/xml' },
      body: `<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Failed>${[
        ...failed,
      ]
        .map(
          ([id, { code, sender }]) =>
            `<member><Id>${id}</Id><Code>${code}</Code><SenderFault>${sender}</SenderFault></member>`,
        )
        .join('')}</Failed><Successful>${entries
        .filter(({ id }) => !failed.has(id))
        .map(({ id }) => `<member><Id>${id}</Id><MessageId>m${id}</MessageId></member>`)
        .join('')}</Successful></PublishBatchResult></PublishBatchResponse>`,
    }),
    refuse: (code, status) => ({
      status,
      headers: { 'content-type': 'text/xml' },
      body: `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`,
    }),
  },
  eventbridge: {
    configuration: () => ({ kind: 'eventbridge', eventBus: 'orders' }),
    read: ({ body }) => ({
      entries: JSON.parse(body).Entries.map(({ Detail }: { Detail: string }, index: number) => ({
        id: String(index),
        message: JSON.parse(Detail).data,
      })),
    }),
    answer: ({ entries }, failed) =>
      json({
        FailedEntryCount: failed.size,
        Entries: entries.map((_, index) => {
          const failure = failed.get(numbered(index, entries));
          return failure ? { ErrorCode: failure.code, ErrorMessage: 'no' } : { EventId: `e${index}` };
        }),
      }),
    refuse: (code, status) => json({ __type: code, message: 'no' }, status),
  },
};

/** What each call held, by the data of its events. */
const calls = (service: Service) =>
  aws.requests.map((request) => service.read(request).entries.map(({ message }) => message));

const failing = (
  service: Service,
  request: RecordedRequest,
  failures: Record<string, { code: string; sender: boolean }>,
) => {
  const call = service.read(request);
  const failed = new Map(
    call.entries.flatMap(({ id, message }) => (failures[message] ? [[id, failures[message]]] : [])),
  );
  return service.answer(call, failed);
};

for (const [name, service] of Object.entries(services)) {
  const stackOf = (settings: Record<string, unknown> = {}) =>
    consumerStack(() => ({ ...service.configuration(), attempts: 3, ...settings }));

  it(`${name}: ten events a call; what failed for a moment is repeated alone; what is refused is a dead letter`, async () => {
    const stack = await stackOf();
    await stack.produce(...some(12));
    let first = true;
    aws.answer = (request) => {
      const failures = {
        'data 5': { code: 'InvalidThing', sender: true },
        ...(first && { 'data 3': { code: 'InternalException', sender: false } }),
      };
      first = false;
      return failing(service, request, failures);
    };
    expect(await stack.consume()).toBe(true);
    expect(calls(service)).toEqual([some(10).map(([, data]) => data), ['data 3'], ['data 11', 'data 12']]);
    expect(await stack.dead()).toEqual([[5, 'InvalidThing']]);
    expect(await stack.caughtUp()).toBe(true);
  });

  it(`${name}: throttling is waited out, then opens the circuit; nothing is lost`, async () => {
    const stack = await stackOf();
    await stack.produce(...some(2));
    aws.answer = () => service.refuse('ThrottlingException', 400);
    expect(await stack.consume()).toBe(true);
    expect(aws.requests).toHaveLength(3);
    expect(await stack.source.query(`select reason, waiting from pgq.get_circuit('q', 'c')`)).toEqual([
      { reason: 'ThrottlingException', waiting: true },
    ]);
    expect(await stack.consume()).toBe(true);
    expect(aws.requests).toHaveLength(3);
    await stack.letProbe();
    aws.answer = (request) => failing(service, request, {});
    expect(await stack.consume()).toBe(true);
    expect(calls(service).at(-1)).toEqual(['data 1', 'data 2']);
    expect(await stack.dead()).toEqual([]);
    expect(await stack.caughtUp()).toBe(true);
  });

  it(`${name}: an answer that was lost, and a 503, bring the call again; a missing right does not blame the events`, async () => {
    const stack = await stackOf();
    await stack.produce(...some(1));
    const answers: (() => RecordedAnswer)[] = [
      () => 'drop',
      () => service.refuse('ServiceUnavailable', 503),
      () => service.refuse('AccessDeniedException', 400),
    ];
    aws.answer = () => answers[aws.requests.length - 1]!();
    expect(await stack.consume()).toBe(true);
    expect(aws.requests).toHaveLength(3);
    expect(await stack.dead()).toEqual([]);
    expect(await stack.source.query(`select reason from pgq.get_circuit('q', 'c')`)).toEqual([
      { reason: expect.stringMatching(/^AccessDenied/) },
    ]);
  });

  it(`${name}: a call refused for what it holds is halved until the event is found`, async () => {
    const stack = await stackOf();
    await stack.produce(...some(4));
    aws.answer = (request) =>
      service.read(request).entries.some(({ message }) => message === 'data 2')
        ? service.refuse('ValidationException', 400)
        : failing(service, request, {});
    expect(await stack.consume()).toBe(true);
    expect(await stack.dead()).toEqual([[2, 'ValidationException']]);
    expect(await stack.caughtUp()).toBe(true);
  });
}

it('sqs: messages reach a queue, with those of their attributes that have a value', async () => {
  const sqs = new SQSClient();
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: `orders-${Date.now()}` }));
  const stack = await consumerStack(() => ({
    kind: 'sqs',
    queueUrl: QueueUrl,
    attributes: { type: '{type}', from: '{queue}/{extra1}', none: '{extra2}' },
  }));
  await stack.produce(['placed', '{"id": 1}', 'eu'], ['paid', 'é']);
  expect(await stack.consume()).toBe(true);
  const received = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: ['All'] }),
  );
  const messages = received
    .Messages!.map(({ Body, MessageAttributes }) => [
      JSON.parse(Body!),
      Object.fromEntries(
        Object.entries(MessageAttributes ?? {}).map(([key, { StringValue }]) => [key, StringValue]),
      ),
    ])
    .sort(([a], [b]) => a.id - b.id);
  expect(messages).toEqual([
    [expect.objectContaining({ id: 1, type: 'placed', data: '{"id": 1}' }), { type: 'placed', from: 'q/eu' }],
    [expect.objectContaining({ id: 2, type: 'paid', data: 'é' }), { type: 'paid', from: 'q/' }],
  ]);
  sqs.destroy();
});

it('sqs: a FIFO queue gets group and de-duplication, the same when the batch is repeated', async () => {
  const stack = await consumerStack(() => ({
    kind: 'sqs',
    queueUrl: `${new URL(aws.url).origin}/123456789012/orders.fifo`,
    groupId: '{extra1}',
    attempts: 1,
  }));
  await stack.produce(['t', 'a', 'k1'], ['t', 'b', 'k2'], ['t', 'no group']);
  aws.answer = () => 'drop';
  expect(await stack.consume()).toBe(true);
  await stack.letProbe();
  aws.answer = (request) => failing(services.sqs!, request, {});
  expect(await stack.consume()).toBe(true);
  const [lost, repeated] = aws.requests.map(({ body }) =>
    JSON.parse(body).Entries.map((entry: Record<string, string>) => [
      entry.MessageGroupId,
      entry.MessageDeduplicationId,
    ]),
  );
  expect(repeated).toEqual(lost);
  expect(repeated.map(([group]: [string]) => group)).toEqual(['k1', 'k2']);
  expect(new Set(repeated.map(([, id]: [string, string]) => id)).size).toBe(2);
  expect(await stack.dead()).toEqual([[3, 'its message group is empty']]);
});

it('eventbridge: source, detail type and time come from the event, by templates; what is no JSON object is a dead letter', async () => {
  const stack = await consumerStack(() => ({
    kind: 'eventbridge',
    source: 'shop.{queue}',
    detailType: 'Order {type}',
    body: 'data',
  }));
  await stack.produce(['Placed', '{"id": 1}'], ['Paid', '[1]'], ['Paid', null]);
  aws.answer = (request) =>
    json({ FailedEntryCount: 0, Entries: JSON.parse(request.body).Entries.map(() => ({ EventId: 'e' })) });
  expect(await stack.consume()).toBe(true);
  const [{ Source, DetailType, Detail, EventBusName, Time }] = JSON.parse(aws.requests[0]!.body).Entries;
  expect({ Source, DetailType, Detail, EventBusName }).toEqual({
    Source: 'shop.q',
    DetailType: 'Order Placed',
    Detail: '{"id": 1}',
    EventBusName: 'default',
  });
  expect(Math.abs(Time - Date.now() / 1000)).toBeLessThan(60);
  expect(await stack.dead()).toEqual([
    [2, 'ev_data is no JSON object'],
    [3, 'ev_data is empty'],
  ]);
});

it('sns: subject and attributes by templates; calls stay within the size that the topic takes', async () => {
  const stack = await consumerStack(() => ({
    kind: 'sns',
    topicArn: TOPIC,
    subject: 'Event\n{type}',
    attributes: { type: '{type}' },
    maximumBytes: 2048,
  }));
  const big = 'x'.repeat(1200);
  await stack.produce(['a', big], ['b', big], ['c', 'x'.repeat(3000)]);
  aws.answer = (request) => failing(services.sns!, request, {});
  expect(await stack.consume()).toBe(true);
  expect(aws.requests).toHaveLength(2);
  const form = new URLSearchParams(aws.requests[0]!.body);
  expect(form.get('PublishBatchRequestEntries.member.1.Subject')).toBe('Event a');
  expect(form.get('PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Value.StringValue')).toBe(
    'a',
  );
  expect(await stack.dead()).toEqual([[3, expect.stringContaining('larger than the 2048 bytes')]]);
});

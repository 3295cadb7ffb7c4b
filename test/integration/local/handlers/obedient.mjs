// A handler that does what its event says, and writes down every message that it has handled.

import { appendFileSync } from 'node:fs';

let invocations = 0;

function record(entry) {
  if (process.env.RECORD)
    appendFileSync(process.env.RECORD, `${JSON.stringify({ at: Date.now(), pid: process.pid, ...entry })}\n`);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function obey(order, context) {
  switch (order.do) {
    case 'sleep':
      await sleep(order.ms);
      return order;
    case 'throw':
      throw Object.assign(new Error(order.message ?? 'as ordered'), { name: 'OrderedError' });
    case 'throw-text':
      throw 'just text';
    case 'exit':
      return process.exit(3);
    case 'reject-later':
      void Promise.reject(new Error('nobody waits for this'));
      await sleep(1000);
      return order;
    case 'loop':
      for (;;);
    case 'bigint':
      return { value: 1n };
    case 'environment':
      return process.env;
    case 'context':
      await sleep(20);
      return { ...context, remaining: context.getRemainingTimeInMillis() };
    case 'process':
      invocations += 1;
      return { pid: process.pid, invocations };
    case 'say':
      console.log(order.text);
      console.error(`${order.text}!`);
      return null;
    default:
      return order;
  }
}

export async function handler(event, context) {
  if (!event?.Records) {
    if (event?.source === 'aws.events') record({ scheduled: event.time });
    if (event?.requestContext?.http) {
      return { statusCode: 201, headers: { 'x-path': event.rawPath }, body: `got ${event.body}` };
    }
    return obey(event ?? {}, context);
  }
  const batchItemFailures = [];
  record({ begin: event.Records.map((each) => each.messageId) });
  for (const each of event.Records) {
    const order = JSON.parse(each.body);
    if (order.do === 'fail') {
      batchItemFailures.push({ itemIdentifier: each.messageId });
      const receives = Number(each.attributes.ApproximateReceiveCount);
      record({ failed: order.n, receives, receipt: each.receiptHandle });
      continue;
    }
    if (order.do === 'answer') return order.answer;
    await obey(order, context);
    record({ handled: order.n, event: each });
  }
  record({ end: event.Records.map((each) => each.messageId) });
  return { batchItemFailures };
}

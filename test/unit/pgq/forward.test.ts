import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { eventJson } from '../../../lib/pgq/consumers/forward/event-json.ts';
import { retryAfterSeconds } from '../../../lib/pgq/consumers/forward/http.ts';
import { signatureHeaders } from '../../../lib/pgq/consumers/forward/signature.ts';
import { PgqEvent } from '../../../lib/pgq/event.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const BODY = '{"test": 2432232314}';

describe('the signature of a request', () => {
  it('is that of the Standard Webhooks libraries', () => {
    const headers = signatureHeaders(
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      BODY,
      [SECRET],
      new Date(1614265330_000),
    );
    expect(headers).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('is verified by the code that the guide shows, and only if nothing was changed', async () => {
    const guide = readFileSync('docs/guides/http.md', 'utf8');
    const code = /^```js\n(.*?)^```/ms.exec(guide)![1]!;
    const { verify } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
      verify(headers: Record<string, string>, body: string, secret: string): boolean;
    };
    const headers = signatureHeaders('sk_1', BODY, ['other', SECRET], new Date());
    expect(verify(headers, BODY, SECRET)).toBe(true);
    expect(verify(headers, BODY, 'other')).toBe(true);
    expect(verify(headers, `${BODY} `, SECRET)).toBe(false);
    expect(verify(headers, BODY, 'third')).toBe(false);
    expect(verify({ ...headers, 'webhook-id': 'sk_2' }, BODY, SECRET)).toBe(false);
    const old = signatureHeaders('sk_1', BODY, [SECRET], new Date(Date.now() - 3600_000));
    expect(verify(old, BODY, SECRET)).toBe(false);
  });
});

it.each([
  ['120', 120],
  [' 7', 7],
  ['Fri, 01 Jan 2027 00:00:30 GMT', 30],
  ['Fri, 01 Jan 2021 00:00:00 GMT', 0],
  ['soon', undefined],
  [null, undefined],
])('Retry-After %s is %s seconds', (header, seconds) => {
  expect(retryAfterSeconds(header, Date.parse('2027-01-01T00:00:00Z'))).toBe(seconds);
});

it('an event is one line of JSON, whatever it holds', () => {
  const row = [
    '9007199254740993',
    '2026-01-02 03:04:05.678901+05:30',
    '7',
    '2',
    'a"b',
    '{"x":\r\n 1}',
  ] as const;
  const event = new PgqEvent([...row, null, 'e2', null, null], new Map());
  expect(eventJson(event, 'json')).toBe(
    '{"id":9007199254740993,"time":"2026-01-02T03:04:05.678901+05:30","txid":7,"retry":2,"type":"a\\"b","data":{"x":  1},"extra2":"e2"}',
  );
  expect(JSON.parse(eventJson(event, 'text'))).toMatchObject({ data: '{"x":\r\n 1}' });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSchedule } from '../../../lib/local/runner/schedule.ts';

const at = (text: string): number => Date.parse(text);

/** The next firings after a moment, as ISO minutes. */
function firings(expression: string, after: string, count = 3): string[] {
  const schedule = parseSchedule(expression, at(after));
  const found: string[] = [];
  for (let moment: number | undefined = at(after); found.length < count; ) {
    moment = schedule.next(moment);
    if (moment === undefined) break;
    found.push(new Date(moment).toISOString().slice(0, 16));
  }
  return found;
}

describe('rates', () => {
  it('count from their creation', () => {
    expect(firings('rate(1 minute)', '2026-03-01T10:00:20Z')).toEqual([
      '2026-03-01T10:01',
      '2026-03-01T10:02',
      '2026-03-01T10:03',
    ]);
    expect(firings('rate(12 hours)', '2026-03-01T10:00:00Z', 2)).toEqual([
      '2026-03-01T22:00',
      '2026-03-02T10:00',
    ]);
    expect(firings('rate(1 day)', '2026-02-28T10:00:00Z', 1)).toEqual(['2026-03-01T10:00']);
  });

  it('that EventBridge refuses are refused', () => {
    for (const wrong of [
      'rate(1 minutes)',
      'rate(5 minute)',
      'rate(0 minutes)',
      'rate(1 second)',
      'rate(5)',
      'every minute',
      '5 minutes',
    ]) {
      expect(() => parseSchedule(wrong, 0), wrong).toThrow(RangeError);
    }
  });
});

describe('cron expressions', () => {
  // Examples of EventBridge's documentation, and the edges of each wildcard.
  it.each([
    [
      'cron(0 10 * * ? *)',
      '2026-03-01T10:00:00Z',
      ['2026-03-02T10:00', '2026-03-03T10:00', '2026-03-04T10:00'],
    ],
    [
      'cron(15 12 * * ? *)',
      '2026-03-01T12:14:59Z',
      ['2026-03-01T12:15', '2026-03-02T12:15', '2026-03-03T12:15'],
    ],
    [
      'cron(0 18 ? * MON-FRI *)',
      '2026-03-06T17:00:00Z',
      ['2026-03-06T18:00', '2026-03-09T18:00', '2026-03-10T18:00'],
    ],
    [
      'cron(0 8 1 * ? *)',
      '2026-12-01T08:00:00Z',
      ['2027-01-01T08:00', '2027-02-01T08:00', '2027-03-01T08:00'],
    ],
    [
      'cron(0/15 * * * ? *)',
      '2026-03-01T23:31:00Z',
      ['2026-03-01T23:45', '2026-03-02T00:00', '2026-03-02T00:15'],
    ],
    [
      'cron(0/30 20-2 ? * FRI-SAT *)',
      '2026-03-06T02:31:00Z',
      ['2026-03-06T20:00', '2026-03-06T20:30', '2026-03-06T21:00'],
    ],
    [
      'cron(0 0 L * ? *)',
      '2028-02-01T00:00:00Z',
      ['2028-02-29T00:00', '2028-03-31T00:00', '2028-04-30T00:00'],
    ],
    [
      'cron(0 0 1W * ? *)',
      '2026-07-31T00:00:00Z',
      ['2026-08-03T00:00', '2026-09-01T00:00', '2026-10-01T00:00'],
    ],
    [
      'cron(0 0 LW * ? *)',
      '2026-05-01T00:00:00Z',
      ['2026-05-29T00:00', '2026-06-30T00:00', '2026-07-31T00:00'],
    ],
    [
      'cron(0 9 ? * 2#1 *)',
      '2026-03-02T09:00:00Z',
      ['2026-04-06T09:00', '2026-05-04T09:00', '2026-06-01T09:00'],
    ],
    [
      'cron(0 9 ? * FRIL *)',
      '2026-03-01T09:00:00Z',
      ['2026-03-27T09:00', '2026-04-24T09:00', '2026-05-29T09:00'],
    ],
    [
      'cron(0 0 ? * L *)',
      '2026-03-01T00:00:00Z',
      ['2026-03-07T00:00', '2026-03-14T00:00', '2026-03-21T00:00'],
    ],
    [
      'cron(5,35 1 ? JAN,JUL SUN 2027-2028)',
      '2026-03-01T00:00:00Z',
      ['2027-01-03T01:05', '2027-01-03T01:35', '2027-01-10T01:05'],
    ],
    [
      'cron(0 0 29 2 ? *)',
      '2026-03-01T00:00:00Z',
      ['2028-02-29T00:00', '2032-02-29T00:00', '2036-02-29T00:00'],
    ],
    ['cron(0 0 1 1 ? 2020)', '2026-03-01T00:00:00Z', []],
  ])('%s after %s', (expression, after, expected) => {
    expect(firings(expression, after)).toEqual(expected);
  });

  it('that EventBridge refuses are refused', () => {
    for (const wrong of [
      'cron(* * * * * *)',
      'cron(* * ? * ? *)',
      'cron(* * * * ?)',
      'cron(60 * * * ? *)',
      'cron(0 24 * * ? *)',
      'cron(0 0 0 * ? *)',
      'cron(0 0 ? * 8 *)',
      'cron(0 0 ? * XYZ *)',
      'cron(0/0 * * * ? *)',
      'cron(0 0 32W * ? *)',
    ]) {
      expect(() => parseSchedule(wrong, 0), wrong).toThrow(RangeError);
    }
  });

  it('fire strictly later, on whole minutes', () => {
    const schedule = parseSchedule('cron(0/7 * * * ? *)', 0);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: at('2100-01-01T00:00:00Z') }), (moment) => {
        const next = schedule.next(moment) as number;
        expect(next).toBeGreaterThan(moment);
        expect(next - moment).toBeLessThanOrEqual(7 * 60_000);
        expect(new Date(next).getUTCMinutes() % 7).toBe(0);
        expect(next % 60_000).toBe(0);
      }),
    );
  });
});

import { describe, expect, it } from 'vitest';
import {
  checkHistory,
  type History,
  type RecordedArchive,
  type RecordedTransaction,
} from '../../drill/history-checker.ts';

const transaction = (
  id: string,
  begunAt: number,
  acknowledgedAt: number | undefined,
  events: string[],
  committed = true,
): RecordedTransaction => ({ id, begunAt, acknowledgedAt, committed, events });

const archive: RecordedArchive = {
  name: 'main',
  files: [
    '000000010000000000000003',
    '0000000100000000000000FE',
    '0000000100000000000000FF',
    '000000010000000100000000.partial',
    '00000002.history',
    '000000020000000100000000',
    '000000020000000100000001',
  ],
  first: '0000000100000000000000FE',
  last: '000000020000000100000001',
  segmentBytes: 16 << 20,
  original: '10 rows',
  restored: '10 rows',
};

/** One that keeps every promise: t2 and t3 run at the same time, t4 is rolled back, of t5 no answer came. */
const good: History = {
  transactions: [
    transaction('t1', 0, 10, ['a', 'b']),
    transaction('t2', 20, 50, ['c']),
    transaction('t3', 30, 40, ['d', 'e']),
    transaction('t4', 45, undefined, ['x'], false),
    transaction('t5', 60, undefined, ['f']),
  ],
  deliveries: [
    { consumer: 'once', promise: 'exactly-once', events: ['a', 'b', 'd', 'e', 'c', 'f'] },
    // The batch of a and b came twice.
    { consumer: 'often', promise: 'at-least-once', events: ['a', 'a', 'b', 'c', 'd', 'e', 'f', 'f'] },
  ],
  replicas: [{ table: 'item', provider: '3 123', subscriber: '3 123' }],
  archives: [archive],
};

const kinds = (history: History) => checkHistory(history).map(({ kind, where }) => `${kind}: ${where}`);
const delivered = (promise: 'at-least-once' | 'exactly-once', events: string[]): History => ({
  ...good,
  deliveries: [{ consumer: 'c', promise, events }],
});

describe('the history checker', () => {
  it('accepts a history that keeps its promises, repetition where it is allowed and either order of concurrent work', () => {
    expect(checkHistory(good)).toEqual([]);
  });

  it.each([
    ['a lost event', delivered('exactly-once', ['a', 'b', 'c', 'd', 'f']), ['event lost: c']],
    [
      'an event of a commit whose answer was lost',
      delivered('exactly-once', ['a', 'b', 'c', 'd', 'e']),
      ['event lost: c'],
    ],
    ['everything lost', delivered('at-least-once', []), Array(6).fill('event lost: c')],
    [
      'an aborted event',
      delivered('at-least-once', ['a', 'b', 'c', 'd', 'e', 'x', 'f']),
      ['aborted event delivered: c'],
    ],
    [
      'an event of nobody',
      delivered('at-least-once', ['a', 'b', 'c', 'd', 'e', 'f', 'z']),
      ['unknown event delivered: c'],
    ],
    [
      'order within a transaction',
      delivered('exactly-once', ['b', 'a', 'c', 'd', 'e', 'f']),
      ['order violated: c'],
    ],
    [
      'order of transactions',
      delivered('exactly-once', ['c', 'a', 'b', 'd', 'e', 'f']),
      ['order violated: c', 'order violated: c'],
    ],
    [
      'order of one writer',
      delivered('at-least-once', ['a', 'b', 'f', 'd', 'e', 'c']),
      ['order violated: c', 'order violated: c', 'order violated: c'],
    ],
    [
      'an effect that is repeated',
      delivered('exactly-once', ['a', 'b', 'b', 'c', 'd', 'e', 'f']),
      ['effect repeated: c'],
    ],
    [
      'a commit that was acknowledged and is gone',
      {
        ...delivered('exactly-once', ['a', 'b', 'c', 'd', 'e', 'f']),
        transactions: [...good.transactions, transaction('t6', 70, 80, ['g'], false)],
      },
      ['acknowledged commit lost: provider'],
    ],
    [
      'a replica that differs',
      { ...good, replicas: [{ table: 'item', provider: '3 123', subscriber: '3 124' }] },
      ['replica differs: item'],
    ],
    [
      'a segment that is missing',
      {
        ...good,
        archives: [
          { ...archive, files: archive.files.filter((file) => file !== '0000000100000000000000FF') },
        ],
      },
      ['wal gap: main'],
    ],
    [
      'a segment that is there as .partial only',
      {
        ...good,
        archives: [
          { ...archive, files: archive.files.filter((file) => file !== '000000020000000100000000') },
        ],
      },
      ['wal gap: main'],
    ],
    [
      'the last segment missing',
      { ...good, archives: [{ ...archive, files: archive.files.slice(0, -1) }] },
      ['wal gap: main'],
    ],
    [
      'a restored copy that differs',
      { ...good, archives: [{ ...archive, restored: '9 rows' }] },
      ['restore differs: main'],
    ],
  ] as [string, History, string[]][])('refuses %s', (_name, history, expected) => {
    expect(kinds(history)).toEqual(expected);
  });
});

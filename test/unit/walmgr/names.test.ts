import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isReachable, parseHistory, switchPoint, timelineAt } from '../../../lib/walmgr/wal/history.ts';
import { asLsn, formatLsn, parseLsn } from '../../../lib/walmgr/wal/lsn.ts';
import {
  checkSegmentSize,
  historyName,
  isWalName,
  neighbour,
  parseWalName,
  segmentEndingAt,
  segmentName,
  segmentNumber,
  segmentOf,
  segmentStart,
} from '../../../lib/walmgr/wal/name.ts';

const sizes = fc.integer({ min: 20, max: 30 }).map((bits) => 2 ** bits);
const timelines = fc.integer({ min: 1, max: 0xffffffff });
const lsns = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

describe('wal positions', () => {
  test('text and number are the same thing', () => {
    fc.assert(fc.property(lsns, (lsn) => parseLsn(formatLsn(lsn)) === lsn));
    expect(parseLsn('16/B374D848')).toBe(0x16b374d848n);
    expect(parseLsn('0/0000A0')).toBe(0xa0n);
  });

  test.each(['', '1', '/', '1/', 'x/1', '1/123456789', '-1/0'])('%j is refused', (text) => {
    expect(() => parseLsn(text)).toThrow(expect.objectContaining({ code: 'WAL_LSN_INVALID' }));
  });
});

describe('segment names', () => {
  test('a name stands for exactly one segment of its size', () => {
    fc.assert(
      fc.property(sizes, timelines, lsns, (size, timeline, lsn) => {
        const segno = segmentOf(lsn, size);
        const name = segmentName(timeline, segno, size);
        const file = parseWalName(name);
        if (file.kind !== 'segment') return false;
        const start = segmentStart(segno, size);
        return (
          name.length === 24 &&
          file.timeline === timeline &&
          segmentNumber(file, size) === segno &&
          start <= lsn &&
          lsn < start + BigInt(size)
        );
      }),
    );
  });

  test('names sort as positions do, within a timeline', () => {
    fc.assert(
      fc.property(sizes, lsns, lsns, (size, a, b) => {
        const [x, y] = [segmentOf(a, size), segmentOf(b, size)];
        return segmentName(3, x, size) < segmentName(3, y, size) === x < y;
      }),
    );
  });

  test('the name follows the segment size', () => {
    expect(segmentName(1, 3n, 16 << 20)).toBe('000000010000000000000003');
    expect(segmentName(1, 256n, 16 << 20)).toBe('000000010000000100000000');
    expect(segmentName(1, 4n, 1 << 30)).toBe('000000010000000100000000');
    expect(neighbour('0000000200000000000000FF', 1, 16 << 20)).toBe('000000020000000100000000');
    expect(neighbour('000000020000000100000000', -1, 1 << 30)).toBe('000000020000000000000003');
  });

  test('a position on a boundary ends the segment before it', () => {
    expect(segmentEndingAt(0x2000000n, 16 << 20)).toBe(1n);
    expect(segmentEndingAt(0x2000001n, 16 << 20)).toBe(2n);
    expect(segmentOf(0x2000000n, 16 << 20)).toBe(2n);
  });

  test('every kind of file is told from its name', () => {
    expect(parseWalName('000000010000000000000003')).toMatchObject({ kind: 'segment', timeline: 1, seg: 3 });
    expect(parseWalName('000000010000000000000003.partial')).toMatchObject({ kind: 'partial', seg: 3 });
    expect(parseWalName('000000010000000000000003.00000028.backup')).toMatchObject({
      kind: 'backup',
      offset: 40,
    });
    expect(parseWalName(historyName(10))).toEqual({
      kind: 'history',
      name: '0000000A.history',
      timeline: 10,
    });
  });

  test.each([
    '../../etc/passwd',
    '000000010000000000000003.gz',
    '00000001000000000000000g',
    '00000001000000000000000a',
    '000000010000000000000003/..',
    '000000010000000000000003\n',
    '00000001.history.partial',
    'RECOVERYXLOG',
    '',
  ])('%j is not a wal file', (name) => {
    expect(isWalName(name)).toBe(false);
    expect(() => parseWalName(name)).toThrow(expect.objectContaining({ code: 'WAL_NAME_INVALID' }));
  });

  test('a segment number too large for the segment size is refused', () => {
    const file = parseWalName('0000000100000000000000FF');
    if (file.kind !== 'segment') throw new Error('unexpected kind');
    expect(segmentNumber(file, 16 << 20)).toBe(255n);
    expect(() => segmentNumber(file, 64 << 20)).toThrow(
      expect.objectContaining({ code: 'WAL_NAME_INVALID' }),
    );
  });

  test.each([0, 1 << 19, (16 << 20) + 1, 2 ** 31, 3 << 20])('%d bytes is no segment size', (size) => {
    expect(() => checkSegmentSize(size)).toThrow(
      expect.objectContaining({ code: 'WAL_SEGMENT_SIZE_INVALID' }),
    );
  });
});

describe('timeline histories', () => {
  const text = '1\t0/30000A0\tno recovery target specified\n\n# comment\n2\t0/5000000\tbefore 2026\n';

  test('the ancestry tells which timeline holds a position', () => {
    const history = parseHistory(5, text);
    expect(history.ancestors.map((step) => step.timeline)).toEqual([1, 2]);
    expect(timelineAt(history, 0x30000a0n - 1n)).toBe(1);
    expect(timelineAt(history, 0x30000a0n)).toBe(2);
    expect(timelineAt(history, 0x5000000n)).toBe(5);
    expect(switchPoint(history, 5)).toBeUndefined();
    expect(switchPoint(history, 3)).toBeNull();
  });

  test('a backup that ended after the fork cannot reach the new timeline', () => {
    const history = parseHistory(5, text);
    expect(isReachable(history, 1, asLsn(0x30000a0n))).toBe(true);
    expect(isReachable(history, 1, asLsn(0x30000a1n))).toBe(false);
    expect(isReachable(history, 3, asLsn(1n))).toBe(false);
    expect(isReachable(history, 5, asLsn(1n << 40n))).toBe(true);
  });

  test.each(['x\t0/1\n', '5\t0/1\n', '2\t0/1\n1\t0/2\n', '1\n'])('%j is refused', (bad) => {
    expect(() => parseHistory(5, bad)).toThrow(expect.objectContaining({ code: 'WAL_HISTORY_INVALID' }));
  });
});

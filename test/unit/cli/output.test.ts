import { describe, expect, it } from 'vitest';
import { formatBytes, formatSeconds, formatTable, toJson } from '../../../lib/cli/output.ts';

const COLUMNS = [
  { title: 'queue', value: (row: { queue: string }) => row.queue },
  { title: 'n', value: (row: { n?: bigint | null }) => row.n, align: 'right' as const },
];

describe('output', () => {
  it('prints int8 values exactly in JSON, as strings', () => {
    expect(JSON.parse(toJson({ id: 9_223_372_036_854_775_807n, n: 3 }))).toEqual({
      id: '9223372036854775807',
      n: 3,
    });
  });

  it('never cuts a value and keeps one row on one line where there is no terminal', () => {
    const long = 'x'.repeat(300);
    const text = formatTable([{ queue: `${long}\nsecond line`, n: 12n }], COLUMNS as never, {
      form: 'plain',
      color: false,
    });
    const lines = text.trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^QUEUE +N$/);
    expect(lines[1]).toBe(`${long}\\nsecond line  12`);
  });

  it('aligns columns by the width that is seen, wide characters included', () => {
    const rows = [
      { queue: '日本', n: 1n },
      { queue: 'abcd', n: null },
    ];
    const [, first, second] = formatTable(rows, COLUMNS as never, { form: 'plain', color: false }).split(
      '\n',
    );
    expect(first).toBe('日本   1');
    expect(second).toBe('abcd');
  });

  it('draws a box on a terminal', () => {
    expect(formatTable([{ queue: 'q', n: 1n }], COLUMNS as never, { form: 'box', color: false })).toContain(
      '│',
    );
  });

  it.each([
    [0.0421, '42ms'],
    [4.23, '4.2s'],
    [190, '3m 10s'],
    [7500, '2h 5m'],
    [529_200, '6d 3h'],
    [-5, '-5s'],
    [null, ''],
  ])('prints %s seconds as %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  it('prints bytes in powers of 1024', () => {
    expect(formatBytes(512)).toBe('512 B');
    expect(formatBytes(16n * 1024n * 1024n)).toBe('16.0 MiB');
  });
});

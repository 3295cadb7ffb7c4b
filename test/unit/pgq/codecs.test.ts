import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeJsonRow, encodeJsonRow } from '../../../lib/pgq/codecs/json.ts';
import { decodeRowChange, keyColumnsOf } from '../../../lib/pgq/codecs/row-change.ts';
import { decodeSqlFragment, encodeSqlFragment } from '../../../lib/pgq/codecs/sql-fragment.ts';
import { decodeUrlencoded, encodeUrlencoded, type TextRow } from '../../../lib/pgq/codecs/urlencoded.ts';
import { copyField } from '../../../lib/pgq/copy-text.ts';

/** Text that PostgreSQL can store: no NUL, no lone surrogates. */
const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
const column = text.filter((value) => value !== '');
const value = fc.oneof(
  text,
  fc.constant(null),
  fc.constantFrom('', "it's", 'a\\b', "E'x", 'null', '+ %2b&='),
);
const row = fc.dictionary(column, value, { noNullPrototype: true }) as fc.Arbitrary<TextRow>;
const filledRow = row.filter((candidate) => Object.keys(candidate).length > 0);

describe('urlencoded rows', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(row, (original) => {
        expect(decodeUrlencoded(encodeUrlencoded(original))).toEqual(original);
      }),
    );
  });

  it('are written as logutriga writes them', () => {
    expect(encodeUrlencoded({ id: '1', 'Col B': 'a b&c=é/~*(', arr: '{1,2}', b: 't', n: null, e: '' })).toBe(
      'id=1&Col+B=a+b%26c%3d%c3%a9%2f%7e%2a%28&arr=%7b1%2c2%7d&b=t&n&e=',
    );
  });

  it('keep NULL and the empty string apart', () => {
    expect(decodeUrlencoded('a&b=')).toEqual({ a: null, b: '' });
    expect(decodeUrlencoded('')).toEqual({});
  });

  it('may have empty parts and a column twice: the last one counts', () => {
    expect(decodeUrlencoded('&a=1&&b=2&a=3&')).toEqual({ a: '3', b: '2' });
  });
});

describe('JSON rows', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(row, (original) => {
        expect(decodeJsonRow(encodeJsonRow(original))).toEqual(original);
      }),
    );
  });

  it('keep every digit of an int8', () => {
    expect(decodeJsonRow('{"id":9223372036854775807,"f":1.50,"b":true,"n":null,"s":"2"}')).toEqual({
      id: '9223372036854775807',
      f: '1.50',
      b: 'true',
      n: null,
      s: '2',
    });
  });

  it('refuse what is no object', () => {
    for (const wrong of ['1', '[1]', 'null', '"x"', '{'])
      expect(() => decodeJsonRow(wrong)).toThrow(SyntaxError);
  });
});

describe('SQL fragments', () => {
  it('come back as they were written, for each operation', () => {
    fc.assert(
      fc.property(filledRow, filledRow, (values, key) => {
        expect(decodeSqlFragment('I', encodeSqlFragment('I', { values, key: {} }))).toEqual({
          values,
          key: {},
        });
        expect(decodeSqlFragment('U', encodeSqlFragment('U', { values, key }))).toEqual({ values, key });
        expect(decodeSqlFragment('D', encodeSqlFragment('D', { values: {}, key }))).toEqual({
          values: {},
          key,
        });
      }),
    );
  });

  it('are read as sqltriga writes them', () => {
    expect(decodeSqlFragment('I', `(id,"Col B",n) values ('1',E'a\\\\b''c',null)`)).toEqual({
      values: { id: '1', 'Col B': "a\\b'c", n: null },
      key: {},
    });
    expect(decodeSqlFragment('U', `a='x, y=''z''',b=NULL where id='1' and k2='and'`)).toEqual({
      values: { a: "x, y='z'", b: null },
      key: { id: '1', k2: 'and' },
    });
    expect(decodeSqlFragment('D', `k1='x' and k2 is null`)).toEqual({
      values: {},
      key: { k1: 'x', k2: null },
    });
  });

  it('are refused with a position and without the data where they are cut off', () => {
    const whole = encodeSqlFragment('U', { values: { secret: 'hush' }, key: { id: '1' } });
    for (let length = 0; length < whole.length; length++) {
      expect(() => decodeSqlFragment('U', whole.slice(0, length))).toThrow(
        /^SQL fragment not understood at position/,
      );
    }
  });
});

describe('row changes', () => {
  it('are the same whichever trigger function wrote them', () => {
    const table = 'public.t';
    const expected = {
      operation: 'update',
      table,
      keyColumns: ['id'],
      row: { id: '1', v: 'x' },
      whole: true,
    };
    expect(decodeRowChange({ type: 'U:id', data: 'id=1&v=x', extra1: table })).toEqual(expected);
    expect(
      decodeRowChange({
        type: '{"op":"UPDATE","table":["public","t"],"pkey":["id"]}',
        data: '{"id":1,"v":"x"}',
        extra1: table,
      }),
    ).toEqual(expected);
    expect(decodeRowChange({ type: 'U', data: `v='x' where id='1'`, extra1: table })).toEqual({
      ...expected,
      whole: false,
    });
  });

  it('know truncation, and leave other events alone', () => {
    expect(decodeRowChange({ type: 'R', data: '', extra1: 's.t' })?.operation).toBe('truncate');
    for (const type of [null, '', 'order.created', 'Infinity', '{"x":1}', '{"op":"X"}', 'EXECUTE']) {
      expect(decodeRowChange({ type, data: 'id=1', extra1: 's.t' })).toBeUndefined();
    }
  });

  it('name the key columns of ev_type in their order', () => {
    expect(keyColumnsOf('I:c,a')).toEqual(['c', 'a']);
    expect(keyColumnsOf('I:')).toEqual([]);
    expect(keyColumnsOf('{"op":"INSERT","table":["s","t"],"pkey":["c","a"]}')).toEqual(['c', 'a']);
    expect(keyColumnsOf('{"op":"INSERT","table":["s","t"],"pkey":[""]}')).toEqual([]);
  });
});

describe('COPY fields', () => {
  it('escape what the text format wants escaped', () => {
    expect(copyField('a\tb\nc\rd\\')).toBe('a\\tb\\nc\\rd\\\\');
    expect(copyField(null)).toBe('\\N');
    expect(copyField('\\N')).toBe('\\\\N');
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyBytes } from '../../../lib/londiste/apply/copy-bytes.ts';
import type { RowKind } from '../../../lib/londiste/apply/event-type.ts';
import { decodeRow, layoutOf } from '../../../lib/londiste/apply/layout.ts';
import { JsonTranscoder, room, UrlencodedTranscoder } from '../../../lib/londiste/apply/transcode.ts';
import { encodeUrlencoded, type TextRow } from '../../../lib/pgq/codecs/urlencoded.ts';

const FORMATS = {
  urlencoded: { type: 'I:id', encode: encodeUrlencoded, Transcoder: UrlencodedTranscoder },
  json: {
    type: '{"op":"INSERT","table":["public","t"],"pkey":["id"]}',
    encode: (row: TextRow) => JSON.stringify(row),
    Transcoder: JsonTranscoder,
  },
} as const;

/** Columns of COPY's text format, read as PostgreSQL reads them; each has a tab behind it. */
const readCopy = (bytes: CopyBytes): (string | null)[] =>
  bytes.bytes
    .toString('utf8', 0, bytes.length)
    .split('\t')
    .slice(0, -1)
    .map((field) =>
      field === '\\N'
        ? null
        : field.replace(/\\(.)/gs, (_, letter: string) => ({ t: '\t', n: '\n', r: '\r' })[letter] ?? letter),
    );

/** No NUL: a text of PostgreSQL holds none. */
const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', '') || 'x');
const rows = fc
  .uniqueArray(text, { minLength: 1, maxLength: 5 })
  .chain((columns) =>
    fc
      .tuple(...columns.map(() => fc.option(fc.oneof(text, fc.constant('')))))
      .map((values) => Object.fromEntries(columns.map((column, index) => [column, values[index]!]))),
  )
  .filter((row) => !Object.hasOwn(row, '__proto__'));

describe.each(['urlencoded', 'json'] as const)('a row in %s', (name) => {
  const { type, encode, Transcoder } = FORMATS[name];
  const kind: RowKind = { kind: 'row', format: name, operation: 0, key: ['id'] };

  it('reaches COPY as it was, in one piece or cut anywhere', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 50 }), (row, size) => {
        const data = encode(row);
        const layout = layoutOf(name, data, decodeRow(kind, type, data, []));
        const source = Buffer.from(data);
        const transcoder = new Transcoder(layout.names);
        const out = new CopyBytes(16);
        transcoder.begin(out);
        let rest = Buffer.alloc(0);
        for (let at = 0; at < source.length; at += size) {
          const piece = Buffer.concat([rest, source.subarray(at, at + size)]);
          out.reserve(room(piece.length, layout.columns.length));
          const used = transcoder.write(piece, 0, piece.length);
          expect(used).toBeGreaterThanOrEqual(0);
          rest = piece.subarray(used);
        }
        expect(rest.length).toBe(0);
        expect(transcoder.finish()).toBe(true);
        expect(readCopy(out)).toEqual(Object.values(row));
      }),
      { endOnFailure: true, numRuns: 100 },
    );
  });

  it.each([
    ['another column', { id: '1', other: 'x' }],
    ['a column less', { id: '1' }],
    ['a column more', { id: '1', name: 'x', more: 'y' }],
    ['a name that begins alike', { id: '1', names: 'x' }],
    ['another order', { name: 'x', id: '1' }],
  ])('with %s is of another layout', (_case, row) => {
    const known = encode({ id: '1', name: 'x' });
    const layout = layoutOf(name, known, decodeRow(kind, type, known, []));
    const transcoder = new Transcoder(layout.names);
    const out = new CopyBytes(1000);
    transcoder.begin(out);
    const data = Buffer.from(encode(row));
    const used = transcoder.write(data, 0, data.length);
    expect(used === data.length && transcoder.finish()).toBe(false);
  });
});

it.each(['id=1&2021=five&2020=six', '&id=1&2021=one&2021=five&&2020=six'])(
  'columns that are called by a number keep their values: %s',
  (data) => {
    const kind: RowKind = { kind: 'row', format: 'urlencoded', operation: 0, key: ['id'] };
    const { columns, names } = layoutOf('urlencoded', data, decodeRow(kind, 'I:id', data, []));
    expect(columns).toEqual(['id', '2021', '2020']);
    const transcoder = new UrlencodedTranscoder(names);
    const out = new CopyBytes(1000);
    transcoder.begin(out);
    const plain = 'id=1&2021=five&2020=six';
    expect(transcoder.write(Buffer.from(plain), 0, plain.length)).toBe(plain.length);
    expect(transcoder.finish()).toBe(true);
    expect(readCopy(out)).toEqual(['1', 'five', 'six']);
  },
);

it('numbers and booleans of JSON stand as they are written, null is NULL, spaces do not count', () => {
  const transcoder = new JsonTranscoder(['a', 'b', 'c', 'd'].map((column) => Buffer.from(`"${column}"`)));
  const out = new CopyBytes(1000);
  transcoder.begin(out);
  const data = Buffer.from(` { "a": 9223372036854775807, "b" :true,"c": null , "d":-1e5 } `);
  expect(transcoder.write(data, 0, data.length)).toBe(data.length);
  expect(transcoder.finish()).toBe(true);
  expect(readCopy(out)).toEqual(['9223372036854775807', 'true', null, '-1e5']);
});

it.each(['id=1&name=%zz', 'id=1&name=%4', 'id=1&name=a&name=b', 'id=1&&name=x'])(
  '%s is not passed on',
  (data) => {
    const transcoder = new UrlencodedTranscoder([Buffer.from('id'), Buffer.from('name')]);
    const out = new CopyBytes(1000);
    transcoder.begin(out);
    const used = transcoder.write(Buffer.from(data), 0, data.length);
    expect(used === data.length && transcoder.finish()).toBe(false);
  },
);

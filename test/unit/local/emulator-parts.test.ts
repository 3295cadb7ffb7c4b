import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeChunked } from '../../../lib/local/emulator/s3/chunked.ts';
import { KeyIndex } from '../../../lib/local/emulator/s3/key-index.ts';
import { verifySignature } from '../../../lib/local/emulator/signature.ts';
import { VisibilityHeap } from '../../../lib/local/emulator/sqs/visibility-heap.ts';
import { parseQuery, type Request } from '../../../lib/local/emulator/wire.ts';
import { childrenOf, parseXml, renderXml, textOf } from '../../../lib/local/emulator/xml.ts';

describe('the aws-chunked coding', () => {
  const coded = Buffer.from(
    '5;x=y\r\nhello\r\n1\r\n \r\n3\r\n\r\na\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n',
  );

  async function decode(pieces: Buffer[]): Promise<[string, Map<string, string>]> {
    const trailers = new Map<string, string>();
    const chunks: Buffer[] = [];
    for await (const chunk of decodeChunked(
      (async function* () {
        yield* pieces;
      })(),
      trailers,
    )) {
      chunks.push(chunk);
    }
    return [Buffer.concat(chunks).toString(), trailers];
  }

  it('is decoded wherever the network cuts it', async () => {
    for (let cut = 0; cut <= coded.length; cut++) {
      const [text, trailers] = await decode([coded.subarray(0, cut), coded.subarray(cut)]);
      expect(text).toBe('hello \r\na');
      expect([...trailers]).toEqual([['x-amz-checksum-crc32', 'AAAA']]);
    }
  });

  it('is refused when it ends early or is not in that coding', async () => {
    await expect(decode([coded.subarray(0, coded.length - 3)])).rejects.toMatchObject({
      code: 'IncompleteBody',
    });
    await expect(decode([Buffer.from('hello\r\n')])).rejects.toMatchObject({ code: 'InvalidRequest' });
    await expect(decode([Buffer.from('1\r\nab\r\n')])).rejects.toMatchObject({ code: 'InvalidRequest' });
  });
});

describe('XML', () => {
  it('gives back any text that was put into it', () => {
    // biome-ignore format: one line says what is excluded: characters that XML cannot carry at all
    const text = fc.string({ unit: 'grapheme' }).filter((value) => !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(value));
    fc.assert(
      fc.property(text, (value) => {
        const parsed = parseXml(renderXml(['Root', [['Child', value], undefined, ['Child', 7]]]));
        expect(parsed && childrenOf(parsed, 'Child').map((child) => child.text)).toEqual([value, '7']);
      }),
    );
  });

  it('reads entities and empty elements, and refuses what is not closed', () => {
    const parsed = parseXml('<?xml version="1.0"?><a b="c"><d>&lt;&#65;&#x42;&amp;</d><e/><!-- no --></a>');
    expect(parsed && [textOf(parsed, 'd'), textOf(parsed, 'e'), textOf(parsed, 'f')]).toEqual([
      '<AB&',
      '',
      undefined,
    ]);
    expect(parseXml('<a><b></a>')).toBeUndefined();
    expect(parseXml('<a>')).toBeUndefined();
  });
});

describe('the key index', () => {
  it('walks keys in the order of their UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ unit: 'grapheme' })), fc.string(), (keys, from) => {
        const index = new KeyIndex<number>();
        keys.forEach((key, at) => {
          index.set(key, at);
        });
        const bytes = (key: string): Buffer => Buffer.from(key);
        const expected = keys
          .filter((key) => Buffer.compare(bytes(key), bytes(from)) >= 0)
          .sort((left, right) => Buffer.compare(bytes(left), bytes(right)));
        expect([...index.walk(from)].map(([key]) => key)).toEqual(expected);
        for (const key of keys) index.delete(key);
        expect([...index.walk('')]).toEqual([]);
      }),
    );
  });
});

describe('the visibility heap', () => {
  it('gives entries back by time, then by order of entry', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 9 })), (times) => {
        const heap = new VisibilityHeap<number>();
        times.forEach((at, sequence) => {
          heap.push({ at, sequence, item: sequence });
        });
        const popped = times.map(() => heap.pop()?.item);
        const expected = times.map((at, sequence) => ({ at, sequence }));
        expected.sort((left, right) => left.at - right.at || left.sequence - right.sequence);
        expect(popped).toEqual(expected.map((entry) => entry.sequence));
        expect(heap.pop()).toBeUndefined();
      }),
    );
  });
});

describe('signatures', () => {
  // The example of a presigned URL in AWS's documentation of Signature Version 4 for S3.
  const credentials = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  };
  const request = (path: string): Request => ({
    method: 'GET',
    path,
    query: parseQuery(
      'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
        '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
        '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    ),
    headers: { host: 'examplebucket.s3.amazonaws.com' },
    body: () => {
      throw new Error('not read');
    },
    gone: new AbortController().signal,
  });
  const at = Date.parse('2013-05-24T12:00:00Z');

  it('are verified as AWS computes them', () => {
    expect(() => verifySignature(request('/test.txt'), credentials, 'UNSIGNED-PAYLOAD', at)).not.toThrow();
    expect(() => verifySignature(request('/test.txt2'), credentials, 'UNSIGNED-PAYLOAD', at)).toThrow(
      /does not match/,
    );
  });

  it('expire', () => {
    const late = at + 24 * 3600 * 1000;
    expect(() => verifySignature(request('/test.txt'), credentials, 'UNSIGNED-PAYLOAD', late)).toThrow(
      /expired/,
    );
  });
});

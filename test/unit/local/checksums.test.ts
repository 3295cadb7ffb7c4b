import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHECKSUM_ALGORITHMS, checksum, combineCrc } from '../../../lib/local/emulator/checksums.ts';

function sum(algorithm: (typeof CHECKSUM_ALGORITHMS)[number], ...pieces: Buffer[]): Buffer {
  const digest = checksum(algorithm);
  for (const piece of pieces) digest.update(piece);
  return digest.digest();
}

describe('checksums', () => {
  it('give the check values of their definitions', () => {
    const values = CHECKSUM_ALGORITHMS.map((name) => [
      name,
      sum(name, Buffer.from('123456789')).toString('hex'),
    ]);
    expect(Object.fromEntries(values)).toEqual({
      crc32: 'cbf43926',
      crc32c: 'e3069283',
      crc64nvme: 'ae8b14860a799888',
      sha1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
      sha256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
    });
  });

  it('do not depend on how the bytes are cut, and CRCs of pieces combine to that of the whole', () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(bytes, bytes, (left, right) => {
        for (const algorithm of CHECKSUM_ALGORITHMS) {
          const whole = sum(algorithm, Buffer.concat([left, right]));
          expect(sum(algorithm, left, right)).toEqual(whole);
          if (algorithm.startsWith('crc')) {
            const combined = combineCrc(algorithm, sum(algorithm, left), sum(algorithm, right), right.length);
            expect(combined).toEqual(whole);
          }
        }
      }),
    );
  });
});

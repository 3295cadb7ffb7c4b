import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fileChecksum } from '../../../lib/walmgr/backup/checksum.ts';
import { Crc32c } from '../../../lib/walmgr/backup/crc32c.ts';

/** Bit by bit, as the polynomial says. */
function crcByDefinition(bytes: Uint8Array): string {
  let remainder = -1;
  for (const byte of bytes) {
    remainder ^= byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0);
  }
  const digest = Buffer.alloc(4);
  digest.writeInt32LE(~remainder);
  return digest.toString('hex');
}

test('crc-32c is that of RFC 3720, written as a manifest does', () => {
  const crc = new Crc32c();
  const of = (bytes: Uint8Array) => {
    crc.update(bytes);
    return crc.digest();
  };
  expect(of(Buffer.alloc(32))).toBe('aa36918a');
  expect(of(Buffer.alloc(32, 0xff))).toBe('43aba862');
  expect(of(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe('4e79dd46');
  expect(of(Uint8Array.from({ length: 32 }, (_, index) => 31 - index))).toBe('5cdb3f11');
  expect(of(Buffer.alloc(0))).toBe('00000000');
});

test('crc-32c is the same in whatever pieces and from whatever memory the bytes come', () => {
  const crc = new Crc32c(1 << 18);
  for (let at = 0; at < crc.room.length; at++) crc.room[at] = (at * 2_654_435_761) >>> 13;
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 100 }),
      fc.array(
        // Sizes around those where it begins to fold, where a segment ends, and where foreign bytes are staged.
        fc.record({ size: fc.integer({ min: 0, max: 80_000 }), foreign: fc.boolean() }),
        { minLength: 1, maxLength: 3 },
      ),
      (start, pieces) => {
        let at = start;
        for (const { size, foreign } of pieces) {
          const bytes = crc.room.subarray(at, at + size);
          crc.update(foreign ? Buffer.from(bytes) : bytes);
          at += size;
        }
        expect(crc.digest()).toBe(crcByDefinition(crc.room.subarray(start, at)));
      },
    ),
    { numRuns: 60 },
  );
  // The last byte of the room, and one bit of difference anywhere.
  crc.update(crc.room);
  const whole = crc.digest();
  for (const bit of [0, 8 * 5320, 8 * 40_000 + 3, 8 * crc.room.length - 1]) {
    crc.room[bit >> 3]! ^= 1 << (bit & 7);
    crc.update(crc.room);
    expect(crc.digest()).not.toBe(whole);
    crc.room[bit >> 3]! ^= 1 << (bit & 7);
  }
});

test('a digest begins the next file, by either algorithm', () => {
  for (const algorithm of ['CRC32C', 'SHA256'] as const) {
    const checksum = fileChecksum(algorithm, 1024);
    const digests = ['a', '', 'a'].map((text) => {
      checksum.update(Buffer.from(text));
      return checksum.digest();
    });
    expect(digests[2]).toBe(digests[0]);
    expect(digests[1]).not.toBe(digests[0]);
  }
});

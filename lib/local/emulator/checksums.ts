import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export type ChecksumAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme' | 'sha1' | 'sha256';

export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = [
  'crc32',
  'crc32c',
  'crc64nvme',
  'sha1',
  'sha256',
];

/** A running digest over the bytes of one body. */
export interface Digest {
  update(chunk: Buffer): void;
  digest(): Buffer;
}

/** Reflected polynomials, as the algorithms' definitions give them. */
const POLYNOMIALS: Partial<Record<ChecksumAlgorithm, { bits: number; polynomial: bigint }>> = {
  crc32: { bits: 32, polynomial: 0xedb88320n },
  crc32c: { bits: 32, polynomial: 0x82f63b78n },
  crc64nvme: { bits: 64, polynomial: 0x9a6c9329ac4bc9b5n },
};

/** The digest that S3 knows under this name. */
export function checksum(algorithm: ChecksumAlgorithm): Digest {
  switch (algorithm) {
    case 'crc32':
      return nativeCrc32();
    case 'crc32c':
      return new TableCrc32c();
    case 'crc64nvme':
      return new TableCrc64();
    default:
      return createHash(algorithm);
  }
}

/** Bytes that a checksum of this algorithm has. */
export function checksumLength(algorithm: ChecksumAlgorithm): number {
  const crc = POLYNOMIALS[algorithm];
  return crc ? crc.bits / 8 : algorithm === 'sha1' ? 20 : 32;
}

/**
 * The CRC of two concatenated pieces from their CRCs alone: the first is multiplied by x^(8 * length of the second)
 * modulo the polynomial, so that a multipart upload's full-object checksum needs no second reading.
 */
export function combineCrc(
  algorithm: ChecksumAlgorithm,
  first: Buffer,
  second: Buffer,
  secondLength: number,
): Buffer {
  const crc = POLYNOMIALS[algorithm];
  if (!crc) throw new TypeError(`${algorithm} cannot be combined`);
  const width = BigInt(crc.bits);
  const multiply = (left: bigint, right: bigint): bigint => {
    let product = 0n;
    let shifted = right;
    for (let mask = 1n << (width - 1n); mask > 0n; mask >>= 1n) {
      if (left & mask) product ^= shifted;
      shifted = shifted & 1n ? (shifted >> 1n) ^ crc.polynomial : shifted >> 1n;
    }
    return product;
  };
  // In the reflected form the highest bit is x^0 and the one below it is x^1.
  let power = 1n << (width - 2n);
  let shift = 1n << (width - 1n);
  for (let exponent = BigInt(secondLength) * 8n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) shift = multiply(shift, power);
    power = multiply(power, power);
  }
  const combined =
    multiply(shift, BigInt(`0x${first.toString('hex')}`)) ^ BigInt(`0x${second.toString('hex')}`);
  return Buffer.from(combined.toString(16).padStart(crc.bits / 4, '0'), 'hex');
}

function nativeCrc32(): Digest {
  let value = 0;
  return {
    update(chunk) {
      value = crc32(chunk, value);
    },
    digest() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return bytes;
    },
  };
}

const CRC32C_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

class TableCrc32c implements Digest {
  private value = 0xffffffff;

  update(chunk: Buffer): void {
    let value = this.value;
    for (const byte of chunk) value = (CRC32C_TABLE[(value ^ byte) & 0xff] as number) ^ (value >>> 8);
    this.value = value;
  }

  digest(): Buffer {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(~this.value >>> 0);
    return bytes;
  }
}

/** The 64-bit table in two halves: BigInt arithmetic for each byte would be a hundred times slower. */
const CRC64_HIGH = new Uint32Array(256);
const CRC64_LOW = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let value = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ 0x9a6c9329ac4bc9b5n : value >> 1n;
  CRC64_HIGH[byte] = Number(value >> 32n);
  CRC64_LOW[byte] = Number(value & 0xffffffffn);
}

class TableCrc64 implements Digest {
  private high = 0xffffffff;
  private low = 0xffffffff;

  update(chunk: Buffer): void {
    let { high, low } = this;
    for (const byte of chunk) {
      const index = (low ^ byte) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ (CRC64_LOW[index] as number);
      high = (high >>> 8) ^ (CRC64_HIGH[index] as number);
    }
    this.high = high;
    this.low = low;
  }

  digest(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32BE(~this.high >>> 0, 0);
    bytes.writeUInt32BE(~this.low >>> 0, 4);
    return bytes;
  }
}

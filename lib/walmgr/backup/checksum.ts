import { createHash, type Hash } from 'node:crypto';
import { Crc32c } from './crc32c.ts';

/** Algorithms of a manifest, as PostgreSQL names them; the first is ours unless told otherwise. */
export const CHECKSUM_ALGORITHMS = ['SHA256', 'CRC32C'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** Computes the checksum of one file after another. */
export interface FileChecksum {
  /** Memory for the bytes to come: the algorithm finds it at hand. */
  readonly room: Buffer;
  update(bytes: Uint8Array): void;
  /** The checksum of what came since the last call, in hexadecimal, as a manifest has it. */
  digest(): string;
}

export function fileChecksum(algorithm: ChecksumAlgorithm, roomBytes: number): FileChecksum {
  return algorithm === 'CRC32C' ? new Crc32c(roomBytes) : new Sha256(roomBytes);
}

class Sha256 implements FileChecksum {
  readonly room: Buffer;
  #hash: Hash | undefined;

  constructor(roomBytes: number) {
    this.room = Buffer.allocUnsafeSlow(roomBytes);
  }

  update(bytes: Uint8Array): void {
    this.#hash ??= createHash('sha256');
    this.#hash.update(bytes);
  }

  digest(): string {
    const hash = this.#hash ?? createHash('sha256');
    this.#hash = undefined;
    return hash.digest('hex');
  }
}

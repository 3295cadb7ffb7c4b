import { FrameCompressor } from '../archive/codec.ts';
import { BLOCK_BYTES, type Block, BlockPool } from './blocks.ts';
import { type ChecksumAlgorithm, type FileChecksum, fileChecksum } from './checksum.ts';

/** Blocks beside those being compressed: one is filled, and one waits. */
const OTHER_BLOCKS = 2;

export interface PackerOptions {
  /** zstd level. */
  level: number;
  /** Of the files. */
  checksums: ChecksumAlgorithm;
  /** Blocks compressed at once. */
  threads: number;
}

/**
 * Checks the files in blocks and compresses the blocks. Only the compression goes to other threads: one for the checksums as well
 * would cost a second heap and messages, on two cores more than it spares.
 */
export class BlockPacker {
  readonly blocks: BlockPool;
  /** Checksums of files that are over, by name. */
  readonly digests = new Map<string, string>();
  readonly #checksum: FileChecksum;
  readonly #compressors: FrameCompressor[];
  #turn = 0;

  constructor({ level, checksums, threads }: PackerOptions) {
    this.#checksum = fileChecksum(checksums, (threads + OTHER_BLOCKS) * BLOCK_BYTES);
    this.blocks = new BlockPool(this.#checksum.room);
    this.#compressors = Array.from({ length: threads }, () => new FrameCompressor(level, BLOCK_BYTES));
  }

  /** How many blocks are compressed at once. */
  get threads(): number {
    return this.#compressors.length;
  }

  /** A block as one zstd frame. Blocks have to come in order; each goes back to the pool. */
  async pack(block: Block): Promise<Buffer> {
    for (const { from, to, ends } of block.spans) {
      this.#checksum.update(block.bytes.subarray(from, to));
      if (ends !== undefined) this.digests.set(ends, this.#checksum.digest());
    }
    const compressor = this.#compressors[this.#turn++ % this.threads]!;
    const frame = await compressor.compress(block.bytes);
    this.blocks.giveBack(block);
    return frame;
  }

  close(): void {
    for (const compressor of this.#compressors) compressor.close();
  }
}

/** Bytes of a block that belong to one file. */
export interface FileSpan {
  from: number;
  to: number;
  /** The file is over here, and this is its name. */
  ends?: string;
}

/**
 * A block is compressed at once into a zstd frame of its own, several on different threads. Blocks of 4 MiB took the same
 * time and 35 MB more memory; those of a release before do, and are read all the same.
 */
export const BLOCK_BYTES = 1 << 20;

/** Largest frame that a volume may have. */
export const FRAME_BYTES = 4 << 20;

/** A piece of a volume while it is filled. */
export class Block {
  #bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  fill = 0;
  spans: FileSpan[] = [];

  get isFull(): boolean {
    return this.fill === BLOCK_BYTES;
  }

  /** The memory itself, for a thread that has it until it gives it back: copying to shared memory is three times slower. */
  get memory(): ArrayBuffer {
    return this.#bytes.buffer;
  }

  set memory(returned: ArrayBuffer) {
    this.#bytes = Buffer.from(returned);
  }

  /** Takes as much of `bytes`, from `at` on, as there is room for; `ofFile` says that it is a file's content. */
  take(bytes: Buffer, at: number, ofFile: boolean): number {
    const from = this.fill;
    const taken = bytes.copy(this.#bytes, from, at);
    this.fill += taken;
    if (ofFile) {
      const last = this.spans.at(-1);
      if (last && last.ends === undefined && last.to === from) last.to = this.fill;
      else this.spans.push({ from, to: this.fill });
    }
    return taken;
  }

  /** The file whose content came last is over. */
  endFile(name: string): void {
    const last = this.spans.at(-1);
    if (last && last.ends === undefined) last.ends = name;
    else this.spans.push({ from: this.fill, to: this.fill, ends: name });
  }
}

/** Blocks that are used again: as garbage, hundreds of megabytes of them would be collected again and again. */
export class BlockPool {
  readonly #free: Block[] = [];

  take(): Block {
    return this.#free.pop() ?? new Block();
  }

  giveBack(block: Block): void {
    block.fill = 0;
    block.spans = [];
    this.#free.push(block);
  }
}

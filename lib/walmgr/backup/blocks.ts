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
  readonly #memory: Buffer;
  #fill = 0;
  #spans: FileSpan[] = [];

  constructor(memory: Buffer) {
    this.#memory = memory;
  }

  get isFull(): boolean {
    return this.#fill === this.#memory.length;
  }

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#fill);
  }

  get spans(): readonly FileSpan[] {
    return this.#spans;
  }

  clear(): void {
    this.#fill = 0;
    this.#spans = [];
  }

  /** Takes as much of `bytes`, from `at` on, as there is room for; `ofFile` says that it is a file's content. */
  take(bytes: Buffer, at: number, ofFile: boolean): number {
    const from = this.#fill;
    const taken = bytes.copy(this.#memory, from, at);
    this.#fill += taken;
    if (ofFile) {
      const last = this.#spans.at(-1);
      if (last && last.ends === undefined && last.to === from) last.to = this.#fill;
      else this.#spans.push({ from, to: this.#fill });
    }
    return taken;
  }

  /** The file whose content came last is over. */
  endFile(name: string): void {
    const last = this.#spans.at(-1);
    if (last && last.ends === undefined) last.ends = name;
    else this.#spans.push({ from: this.#fill, to: this.#fill, ends: name });
  }
}

/** Blocks that are used again: as garbage, hundreds of megabytes of them would be collected again and again. */
export class BlockPool {
  readonly #free: Block[] = [];

  /** @param room memory for as many blocks as are usually in use; more are made elsewhere */
  constructor(room: Buffer) {
    for (let at = 0; at + BLOCK_BYTES <= room.length; at += BLOCK_BYTES)
      this.#free.push(new Block(room.subarray(at, at + BLOCK_BYTES)));
  }

  take(): Block {
    return this.#free.pop() ?? new Block(Buffer.allocUnsafeSlow(BLOCK_BYTES));
  }

  giveBack(block: Block): void {
    block.clear();
    this.#free.push(block);
  }
}

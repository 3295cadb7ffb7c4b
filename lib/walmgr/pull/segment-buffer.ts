import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { IN_MEMORY_BYTES } from '../archive/archive.ts';

/** A segment while it arrives: in memory, or in a temporary file if segments are large. */
export class SegmentBuffer {
  readonly name: string;
  #memory: Buffer | undefined;
  readonly #file: string | undefined;
  readonly #descriptor: number | undefined;
  readonly #spare: Buffer[];
  #holders = 1;

  /** @param spare memory of segments that are stored: as garbage it would wait for its collection */
  constructor(name: string, segmentSize: number, spare: Buffer[]) {
    this.name = name;
    this.#spare = spare;
    if (segmentSize <= IN_MEMORY_BYTES) {
      this.#memory = spare.pop() ?? Buffer.allocUnsafeSlow(segmentSize);
    } else {
      this.#file = path.join(tmpdir(), `skytools-${process.pid}-${name}`);
      this.#descriptor = openSync(this.#file, 'w+', 0o600);
    }
  }

  write(bytes: Buffer, offset: number): void {
    if (this.#memory) bytes.copy(this.#memory, offset);
    else
      for (let at = 0; at < bytes.length; )
        at += writeSync(this.#descriptor!, bytes, at, bytes.length - at, offset + at);
  }

  /** Bytes that have arrived; they do not change any more. */
  read(start: number, end: number): Buffer {
    if (this.#memory) return this.#memory.subarray(start, end);
    const bytes = Buffer.allocUnsafe(end - start);
    readSync(this.#descriptor!, bytes, 0, bytes.length, start);
    return bytes;
  }

  /** What to store when it is whole. */
  get source(): Buffer | string {
    return this.#memory ?? this.#file!;
  }

  /** Keeps the bytes until one more {@link release}: a piece of it is being stored. */
  retain(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders > 0) return;
    if (this.#memory) this.#spare.push(this.#memory);
    this.#memory = undefined;
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    rmSync(this.#file!, { force: true });
  }
}

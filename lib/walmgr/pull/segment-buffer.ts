import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { IN_MEMORY_BYTES } from '../archive/archive.ts';

/** A segment while it arrives: in memory, or in a temporary file if segments are large. */
export class SegmentBuffer {
  readonly name: string;
  readonly #memory: Buffer | undefined;
  readonly #file: string | undefined;
  readonly #descriptor: number | undefined;

  constructor(name: string, segmentSize: number) {
    this.name = name;
    if (segmentSize <= IN_MEMORY_BYTES) {
      this.#memory = Buffer.allocUnsafeSlow(segmentSize);
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

  discard(): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    rmSync(this.#file!, { force: true });
  }
}

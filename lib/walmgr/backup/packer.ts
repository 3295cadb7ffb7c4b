import { createHash, type Hash } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { compress } from '../archive/codec.ts';
import type { Block, FileSpan } from './blocks.ts';

interface Task {
  id: number;
  memory: ArrayBuffer;
  fill: number;
  spans: FileSpan[];
  level: number;
}

interface Answer {
  id: number;
  memory: ArrayBuffer;
  digests: [string, string][];
  frame: Uint8Array;
}

/** Tells a thread that was started by this file from one that somebody else's code runs in. */
const ROLE = 'skytools-block-packer';

/**
 * Compresses blocks, and hashes the files in them, on a thread of its own (and zlib's): the thread of a base backup has
 * enough to do with receiving it and sending it on. With both on one thread half of its time went to SHA-256 and to the
 * garbage collections that zstd's contexts bring about.
 */
export class BlockPacker {
  /** SHA-256 of files that are over, by name, hexadecimal. */
  readonly digests = new Map<string, string>();
  // This file once more, in whatever bundle it lies.
  readonly #thread = new Worker(new URL(import.meta.url), { workerData: ROLE });
  readonly #waiting = new Map<number, { block: Block; answer: PromiseWithResolvers<Buffer> }>();
  #next = 0;
  #failure: unknown;

  constructor() {
    this.#thread.unref();
    this.#thread.on('message', ({ id, memory, digests, frame }: Answer) => {
      for (const [name, digest] of digests) this.digests.set(name, digest);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (!waiting) return;
      waiting.block.memory = memory;
      waiting.answer.resolve(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength));
    });
    this.#thread.on('error', (error) => this.#fail(error));
    this.#thread.on('exit', () => this.#fail(new Error('the packing thread has ended')));
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { answer } of this.#waiting.values()) answer.reject(this.#failure);
    this.#waiting.clear();
  }

  /** A block as one zstd frame. Blocks have to come in order, and have no memory until the promise is settled. */
  async pack(block: Block, level: number): Promise<Buffer> {
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#next++;
    const answer = Promise.withResolvers<Buffer>();
    this.#waiting.set(id, { block, answer });
    const { memory, fill, spans } = block;
    this.#thread.postMessage({ id, memory, fill, spans, level } satisfies Task, [memory]);
    return answer.promise;
  }

  async close(): Promise<void> {
    await this.#thread.terminate();
  }
}

if (!isMainThread && workerData === ROLE) {
  let hash: Hash | undefined;
  parentPort!.on('message', async ({ id, memory, fill, spans, level }: Task) => {
    const compressed = compress(Buffer.from(memory, 0, fill), level);
    const digests: [string, string][] = [];
    for (const { from, to, ends } of spans) {
      hash ??= createHash('sha256');
      hash.update(new Uint8Array(memory, from, to - from));
      if (ends === undefined) continue;
      digests.push([ends, hash.digest('hex')]);
      hash = undefined;
    }
    const frame = new Uint8Array(await compressed);
    parentPort!.postMessage({ id, memory, digests, frame } satisfies Answer, [memory, frame.buffer]);
  });
}

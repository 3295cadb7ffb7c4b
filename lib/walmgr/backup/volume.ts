import { createHash, type Hash } from 'node:crypto';
import { SkytoolsError } from '../../platform/errors.ts';
import { compress, sha256 } from '../archive/codec.ts';
import type { ObjectStore, UploadedPart } from '../s3/store.ts';
import { TAR_END } from './tar.ts';

/** A stored part of a backup: a tar archive of its own, compressed with zstd. */
export interface Volume {
  /** File name below the backup. */
  file: string;
  /** `base`, or the oid of a tablespace. */
  archive: string;
  plainSize: number;
  objectSize: number;
  objectSha256: string;
  /** Bytes of each zstd frame of the object, in order: Node.js reads one frame at a time. */
  frames: number[];
}

/** S3 takes parts from 5 MiB; 8 MiB times the parts in flight stay small. */
const PART_BYTES = 8 << 20;

/** Parts being sent while the next is filled. */
const PARTS_IN_FLIGHT = 2;

/** A block is compressed at once into a frame of its own, several on different threads. */
export const BLOCK_BYTES = 4 << 20;

/**
 * Writes one volume: compresses on other threads, sends parts while more arrives, and holds a bounded amount of either.
 * `write` returns a promise when the giver should wait.
 */
export class VolumeWriter {
  readonly #store: ObjectStore;
  readonly #key: string;
  readonly #file: string;
  readonly #archive: string;
  readonly #level: number;
  readonly #threads: number;
  readonly #hash: Hash = createHash('sha256');
  readonly #frames: number[] = [];
  #block = Buffer.allocUnsafe(BLOCK_BYTES);
  #blockFill = 0;
  #plainSize = 0;
  #objectSize = 0;
  /** Everything submitted so far, in order. */
  #tail: Promise<void> = Promise.resolve();
  #compressing = 0;
  #roomFor: (() => void) | undefined;
  #pending: Buffer[] = [];
  #pendingSize = 0;
  #uploadId: string | undefined;
  #parts: UploadedPart[] = [];
  #inFlight: Promise<UploadedPart>[] = [];
  #failure: unknown;

  constructor(
    store: ObjectStore,
    directory: string,
    file: string,
    archive: string,
    level: number,
    threads: number,
  ) {
    this.#store = store;
    this.#key = directory + file;
    this.#file = file;
    this.#archive = archive;
    this.#level = level;
    this.#threads = threads;
  }

  get plainSize(): number {
    return this.#plainSize;
  }

  write(bytes: Buffer): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    this.#plainSize += bytes.length;
    let wait: Promise<void> | undefined;
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.copy(this.#block, this.#blockFill, at);
      this.#blockFill += taken;
      at += taken;
      if (this.#blockFill === BLOCK_BYTES) wait = this.#submit() ?? wait;
    }
    return wait;
  }

  #submit(): Promise<void> | undefined {
    const packed = compress(this.#block.subarray(0, this.#blockFill), this.#level);
    packed.catch(() => {});
    this.#block = Buffer.allocUnsafe(BLOCK_BYTES);
    this.#blockFill = 0;
    this.#compressing++;
    this.#tail = this.#tail.then(async () => this.#take(await packed));
    this.#tail.catch((error: unknown) => {
      this.#failure ??= error;
      this.#roomFor?.();
    });
    if (this.#compressing <= this.#threads) return undefined;
    return new Promise((resolve) => {
      this.#roomFor = resolve;
    });
  }

  async #take(frame: Buffer): Promise<void> {
    this.#frames.push(frame.length);
    this.#hash.update(frame);
    this.#objectSize += frame.length;
    this.#pending.push(frame);
    this.#pendingSize += frame.length;
    if (this.#pendingSize >= PART_BYTES) await this.#sendPart();
    this.#compressing--;
    if (this.#compressing <= this.#threads) this.#roomFor?.();
  }

  /** Ends the archive; resolves when the object is durable. */
  async finish(): Promise<Volume> {
    this.write(TAR_END);
    if (this.#blockFill > 0) void this.#submit();
    await this.#tail;
    if (this.#uploadId === undefined) {
      const body = this.#takePending();
      if (!(await this.#store.put(this.#key, body, sha256(body), { onlyIfAbsent: true })))
        throw this.#exists();
    } else {
      if (this.#pendingSize > 0) await this.#sendPart();
      this.#parts.push(...(await Promise.all(this.#inFlight.splice(0))));
      if (!(await this.#store.completeUpload(this.#key, this.#uploadId, this.#parts))) throw this.#exists();
      this.#uploadId = undefined;
    }
    return {
      file: this.#file,
      archive: this.#archive,
      plainSize: this.#plainSize,
      objectSize: this.#objectSize,
      objectSha256: this.#hash.digest('hex'),
      frames: this.#frames,
    };
  }

  /** Leaves nothing half sent behind. */
  async abort(): Promise<void> {
    await this.#tail.catch(() => {});
    await Promise.allSettled(this.#inFlight);
    if (this.#uploadId !== undefined)
      await this.#store.abortUpload(this.#key, this.#uploadId).catch(() => {});
  }

  async #sendPart(): Promise<void> {
    this.#uploadId ??= await this.#store.beginUpload(this.#key, { codec: 'zstd' });
    if (this.#inFlight.length === PARTS_IN_FLIGHT) this.#parts.push(await this.#inFlight.shift()!);
    const number = this.#parts.length + this.#inFlight.length + 1;
    const part = this.#store.putPart(this.#key, this.#uploadId, number, this.#takePending());
    part.catch(() => {});
    this.#inFlight.push(part);
  }

  #takePending(): Buffer {
    const body = Buffer.concat(this.#pending, this.#pendingSize);
    this.#pending = [];
    this.#pendingSize = 0;
    return body;
  }

  #exists(): SkytoolsError {
    return new SkytoolsError('WAL_CONFLICT', `${this.#key} exists already`, {
      hint: 'another backup began at the same second: run it again',
      subject: { key: this.#key },
    });
  }
}

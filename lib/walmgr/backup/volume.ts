import { createHash, type Hash } from 'node:crypto';
import { SkytoolsError } from '../../platform/errors.ts';
import { sha256 } from '../archive/codec.ts';
import type { ObjectStore, UploadedPart } from '../s3/store.ts';
import type { Block } from './blocks.ts';
import type { BlockPacker } from './packer.ts';
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

/** What the volumes of a backup share. */
export interface VolumeTools {
  store: ObjectStore;
  /** Key prefix of the backup. */
  directory: string;
  packer: BlockPacker;
}

/**
 * Writes one volume: compresses on other threads, sends parts while more arrives, and holds a bounded amount of
 * either. `write` returns a promise when the giver should wait.
 */
export class VolumeWriter {
  readonly #tools: VolumeTools;
  readonly #key: string;
  readonly #file: string;
  readonly #archive: string;
  readonly #hash: Hash = createHash('sha256');
  readonly #frames: number[] = [];
  #block: Block;
  #plainSize = 0;
  #objectSize = 0;
  /** Everything submitted so far, in order. */
  #tail: Promise<void> = Promise.resolve();
  #compressing = 0;
  #room: PromiseWithResolvers<void> | undefined;
  #pending: Buffer[] = [];
  #pendingSize = 0;
  #uploadId: string | undefined;
  #parts: UploadedPart[] = [];
  #inFlight: Promise<UploadedPart>[] = [];
  #failure: unknown;

  constructor(tools: VolumeTools, file: string, archive: string) {
    this.#tools = tools;
    this.#key = tools.directory + file;
    this.#file = file;
    this.#archive = archive;
    this.#block = tools.packer.blocks.take();
  }

  get plainSize(): number {
    return this.#plainSize;
  }

  /** @param ofFile true for a file's content, which is hashed */
  write(bytes: Buffer, ofFile = false): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    this.#plainSize += bytes.length;
    let wait: Promise<void> | undefined;
    for (let at = 0; at < bytes.length; ) {
      at += this.#block.take(bytes, at, ofFile);
      if (this.#block.isFull) wait = this.#submit() ?? wait;
    }
    return wait;
  }

  /** The file whose content was written last is over. */
  endFile(name: string): void {
    this.#block.endFile(name);
  }

  #submit(): Promise<void> | undefined {
    const { packer } = this.#tools;
    const block = this.#block;
    this.#block = packer.blocks.take();
    const packed = packer.pack(block);
    packed.catch(() => {});
    this.#compressing++;
    this.#tail = this.#tail.then(async () => {
      await this.#take(await packed);
    });
    this.#tail.catch((error: unknown) => {
      this.#failure ??= error;
      this.#makeRoom();
    });
    if (this.#compressing <= packer.threads) return undefined;
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  async #take(frame: Buffer): Promise<void> {
    this.#frames.push(frame.length);
    this.#hash.update(frame);
    this.#objectSize += frame.length;
    this.#pending.push(frame);
    this.#pendingSize += frame.length;
    if (this.#pendingSize >= PART_BYTES) await this.#sendPart();
    this.#compressing--;
    if (this.#compressing <= this.#tools.packer.threads) this.#makeRoom();
  }

  /** Ends the archive; resolves when the object is durable. */
  async finish(): Promise<Volume> {
    this.write(TAR_END);
    void this.#submit();
    await this.#tail;
    const { store, packer } = this.#tools;
    packer.blocks.giveBack(this.#block);
    if (this.#uploadId === undefined) {
      const body = this.#takePending();
      if (!(await store.put(this.#key, body, sha256(body), { onlyIfAbsent: true }))) throw this.#exists();
    } else {
      if (this.#pendingSize > 0) await this.#sendPart();
      this.#parts.push(...(await Promise.all(this.#inFlight.splice(0))));
      if (!(await store.completeUpload(this.#key, this.#uploadId, this.#parts))) throw this.#exists();
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
      await this.#tools.store.abortUpload(this.#key, this.#uploadId).catch(() => {});
  }

  async #sendPart(): Promise<void> {
    this.#uploadId ??= await this.#tools.store.beginUpload(this.#key, { codec: 'zstd' });
    if (this.#inFlight.length === PARTS_IN_FLIGHT) this.#parts.push(await this.#inFlight.shift()!);
    const number = this.#parts.length + this.#inFlight.length + 1;
    const part = this.#tools.store.putPart(this.#key, this.#uploadId, number, this.#takePending());
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

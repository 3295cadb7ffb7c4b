import { createHash, type Hash } from 'node:crypto';
import { closeSync, fchmodSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { SkytoolsError } from '../../platform/errors.ts';
import type { WalArchive } from '../archive/archive.ts';
import { decompress } from '../archive/codec.ts';
import { BLOCK_BYTES, FRAME_BYTES } from '../backup/blocks.ts';
import { type ChecksumAlgorithm, type FileChecksum, fileChecksum } from '../backup/checksum.ts';
import type { ManifestFile } from '../backup/manifest.ts';
import { TarReader } from '../backup/tar.ts';
import type { Volume } from '../backup/volume.ts';

/** Small writes cost more than copying: file content is gathered to this size. */
const WRITE_BYTES = 1 << 20;

/** Frames decompressed ahead of the one being written. */
const FRAMES_AHEAD = 4;

export interface ExtractOptions {
  /** Where the archive's root lies. */
  directory: string;
  /** Of the files, as in the manifest. */
  checksums: ChecksumAlgorithm;
  /** Flush each file: the restore is then durable, as pg_basebackup's is. */
  sync: boolean;
  onBytes?: (plain: number) => void;
}

/**
 * Fetches one volume and lays its files below a directory, checking both the object and every file.
 *
 * @param pathPrefix what the manifest puts before names of this archive
 * @throws SkytoolsError WAL_OBJECT_DAMAGED
 */
export async function extractVolume(
  archive: WalArchive,
  key: string,
  volume: Volume,
  pathPrefix: string,
  seen: Map<string, ManifestFile>,
  options: ExtractOptions,
): Promise<void> {
  const objectHash = createHash('sha256');
  const writer = new FileWriter(options, pathPrefix, seen);
  try {
    const unpacking: Promise<Buffer>[] = [];
    const layNext = async () => {
      const plain = await unpacking.shift()!;
      writer.reader.write(plain);
      options.onBytes?.(plain.length);
    };
    for await (const frame of cut(archive.store.read(key), volume.frames, objectHash)) {
      const plain = decompress(frame, 'zstd', FRAME_BYTES, BLOCK_BYTES);
      plain.catch(() => {});
      unpacking.push(plain);
      if (unpacking.length > FRAMES_AHEAD) await layNext();
    }
    while (unpacking.length > 0) await layNext();
  } catch (error) {
    if (error instanceof SkytoolsError) throw error;
    throw damaged(key, 'it cannot be read', error);
  } finally {
    writer.close();
  }
  if (objectHash.digest('hex') !== volume.objectSha256) throw damaged(key, 'its checksum is wrong');
}

/** Cuts a stream into pieces of given lengths. */
async function* cut(stream: AsyncIterable<Buffer>, lengths: number[], hash: Hash): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let size = 0;
  let next = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    parts.push(chunk);
    size += chunk.length;
    while (next < lengths.length && size >= lengths[next]!) {
      const all = Buffer.concat(parts, size);
      const length = lengths[next++]!;
      yield all.subarray(0, length);
      parts = [all.subarray(length)];
      size -= length;
    }
  }
  if (next < lengths.length || size > 0)
    throw new Error('the object has another length than its record says');
}

function damaged(key: string, what: string, cause?: unknown): SkytoolsError {
  return new SkytoolsError('WAL_OBJECT_DAMAGED', `${key} is damaged: ${what}`, {
    hint: 'run the restore again into an empty directory; if it repeats, choose another backup',
    subject: { key },
    cause,
  });
}

/** Lays the members of an archive on disk. */
class FileWriter {
  readonly reader: TarReader;
  readonly #options: ExtractOptions;
  #descriptor: number | undefined;
  #name = '';
  #size = 0;
  readonly #checksum: FileChecksum;
  #fill = 0;

  constructor(options: ExtractOptions, pathPrefix: string, seen: Map<string, ManifestFile>) {
    this.#options = options;
    this.#checksum = fileChecksum(options.checksums, WRITE_BYTES);
    this.reader = new TarReader({
      onMember: (member) => {
        const target = this.#resolve(member.name);
        if (member.kind === 'link') return;
        if (member.kind === 'directory') {
          mkdirSync(target, { recursive: true, mode: 0o700 });
          return;
        }
        mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
        this.#descriptor = openSync(target, 'wx', 0o600);
        fchmodSync(this.#descriptor, member.mode & 0o640);
        this.#name = pathPrefix + member.name;
        this.#size = member.size;
      },
      onContent: (bytes) => this.#write(bytes),
      onMemberEnd: () => {
        if (this.#descriptor === undefined) return;
        this.#flush();
        if (this.#options.sync) fsyncSync(this.#descriptor);
        closeSync(this.#descriptor);
        this.#descriptor = undefined;
        seen.set(this.#name, { size: this.#size, checksum: this.#checksum.digest() });
      },
    });
  }

  /** Nothing outside the directory is written, whatever an archive says. */
  #resolve(name: string): string {
    const target = path.resolve(this.#options.directory, name);
    if (target === this.#options.directory || target.startsWith(`${this.#options.directory}${path.sep}`))
      return target;
    throw new SkytoolsError(
      'WAL_OBJECT_DAMAGED',
      `the backup holds a file outside of its directory: ${name}`,
      {
        hint: 'do not use this backup',
      },
    );
  }

  #write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.copy(this.#checksum.room, this.#fill, at);
      this.#fill += taken;
      at += taken;
      if (this.#fill === WRITE_BYTES) this.#flush();
    }
  }

  #flush(): void {
    const bytes = this.#checksum.room.subarray(0, this.#fill);
    this.#checksum.update(bytes);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor!, bytes, at);
    this.#fill = 0;
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

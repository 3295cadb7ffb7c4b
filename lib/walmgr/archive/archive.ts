import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, readFile, rm, stat } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SkytoolsError } from '../../platform/errors.ts';
import { ObjectStore } from '../s3/store.ts';
import { parseHistory } from '../wal/history.ts';
import { parseWalName, type WalFile } from '../wal/name.ts';
import { checkSegmentHeader, LONG_HEADER_BYTES, readSegmentHeader } from '../wal/page.ts';
import {
  checkCodec,
  compress,
  compressor,
  DEFAULT_LEVEL,
  decompress,
  decompressor,
  sha256,
} from './codec.ts';
import { type ArchiveIdentity, claimArchive, readIdentity } from './identity.ts';
import {
  ArchiveKeys,
  type ArchiveLocation,
  clientOptions,
  LAYOUT_VERSION,
  type SystemKeys,
} from './location.ts';

/** What a stored WAL object says about itself. */
export interface StoredFile {
  name: string;
  /** `stored` by this call, or the same content was there `already`. */
  outcome: 'stored' | 'already';
  plainSize: number;
  plainSha256: string;
  objectSize: number;
  objectSha256: string;
}

/**
 * Segments up to this size are handled in memory, larger ones through a temporary file, so that a process stays below
 * 256 MB whatever `--wal-segsize` is.
 */
export const IN_MEMORY_BYTES = 32 << 20;

/** Longest `.history` or `.backup` file that is believed, in bytes. */
const TEXT_FILE_BYTES = 1 << 20;

/** How often a write whose object vanishes between the refusal and the comparison is begun again. */
const CONFLICT_ATTEMPTS = 3;

/** The archive of one cluster, known to exist. */
export class WalArchive {
  readonly store: ObjectStore;
  readonly identity: ArchiveIdentity;
  readonly keys: SystemKeys;
  /** zstd level of what is written. */
  readonly level: number;

  constructor(
    store: ObjectStore,
    keys: ArchiveKeys,
    identity: ArchiveIdentity,
    level: number = DEFAULT_LEVEL,
  ) {
    this.store = store;
    this.identity = identity;
    this.keys = keys.system(identity.systemIdentifier);
    this.level = level;
  }

  /**
   * Opens an archive that something has been written to.
   *
   * @throws SkytoolsError WAL_ARCHIVE_MISSING
   */
  static async open(location: ArchiveLocation, store?: ObjectStore): Promise<WalArchive> {
    const keys = new ArchiveKeys(location);
    const bucket = store ?? new ObjectStore(clientOptions(location));
    const identity = await readIdentity(bucket, keys);
    if (!identity) {
      throw new SkytoolsError(
        'WAL_ARCHIVE_MISSING',
        `there is no archive at s3://${location.bucket}/${location.prefix}`,
        {
          hint: 'correct the location; an archive begins with its first push, pull or backup',
          subject: { bucket: location.bucket, key: keys.identity },
        },
      );
    }
    return new WalArchive(bucket, keys, identity);
  }

  /** Opens the archive of this cluster, taking an empty location for it. */
  static async claim(
    location: ArchiveLocation,
    cluster: ArchiveIdentity,
    options: { store?: ObjectStore; level?: number } = {},
  ): Promise<WalArchive> {
    const keys = new ArchiveKeys(location);
    const store = options.store ?? new ObjectStore(clientOptions(location));
    return new WalArchive(store, keys, await claimArchive(store, keys, cluster), options.level);
  }

  /**
   * Stores one file that PostgreSQL archives, once: the same content again is success.
   *
   * @param source bytes, or the path of a file that does not change any more
   * @param spool directory for the temporary file that a segment over {@link IN_MEMORY_BYTES} needs
   * @throws SkytoolsError WAL_CONFLICT when other content lies under this name, WAL_SEGMENT_INVALID, WAL_FOREIGN_CLUSTER
   */
  async storeFile(name: string, source: Buffer | string, spool: string): Promise<StoredFile> {
    const file = parseWalName(name);
    const size = typeof source === 'string' ? (await stat(source)).size : source.length;
    this.#checkSize(file, size);
    if (typeof source === 'string' && size > IN_MEMORY_BYTES)
      return this.#storeLarge(file, source, size, spool);
    const plain = typeof source === 'string' ? await readFile(source) : source;
    this.#checkSize(file, plain.length);
    this.checkContent(file, plain);
    const plainSha256 = sha256(plain);
    const body = await compress(plain, this.level);
    const described = {
      plainSize: plain.length,
      plainSha256,
      objectSize: body.length,
      objectSha256: sha256(body),
    };
    return this.#putOnce(file, body, described);
  }

  async #storeLarge(file: WalFile, source: string, size: number, spool: string): Promise<StoredFile> {
    this.checkContent(file, await readStart(source, LONG_HEADER_BYTES));
    const packed = `${spool}/${file.name}.${process.pid}.zst`;
    const plainHash = createHash('sha256');
    const objectHash = createHash('sha256');
    let objectSize = 0;
    try {
      await pipeline(
        createReadStream(source, { highWaterMark: 1 << 20 }),
        tap((chunk) => plainHash.update(chunk)),
        compressor(this.level),
        tap((chunk) => {
          objectHash.update(chunk);
          objectSize += chunk.length;
        }),
        createWriteStream(packed, { mode: 0o600 }),
      );
      const described = {
        plainSize: size,
        plainSha256: plainHash.digest('hex'),
        objectSize,
        objectSha256: objectHash.digest('hex'),
      };
      return await this.#putOnce(file, { file: packed, size: objectSize }, described);
    } finally {
      await rm(packed, { force: true });
    }
  }

  async #putOnce(
    file: WalFile,
    body: Buffer | { file: string; size: number },
    described: Omit<StoredFile, 'name' | 'outcome'>,
  ): Promise<StoredFile> {
    const key = this.keys.file(file);
    const metadata = objectMetadata({ ...described, codec: 'zstd' });
    for (let attempt = 1; attempt <= CONFLICT_ATTEMPTS; attempt++) {
      if (await this.store.put(key, body, described.objectSha256, { metadata, onlyIfAbsent: true })) {
        return { name: file.name, outcome: 'stored', ...described };
      }
      const there = await this.store.head(key);
      if (!there) continue;
      if (there.metadata['plain-sha256'] === described.plainSha256) {
        return { name: file.name, outcome: 'already', ...described };
      }
      break;
    }
    throw new SkytoolsError('WAL_CONFLICT', `the archive holds other content under the name ${file.name}`, {
      hint: 'two servers write to one archive, or this one was restored without a new timeline: stop one of them; nothing was overwritten',
      subject: { segment: file.name, key },
    });
  }

  #checkSize(file: WalFile, size: number): void {
    const wanted = this.identity.segmentSize;
    const right =
      file.kind === 'segment' || file.kind === 'partial' ? size === wanted : size <= TEXT_FILE_BYTES;
    if (right) return;
    throw new SkytoolsError('WAL_SEGMENT_INVALID', `${file.name} has ${size} bytes`, {
      hint: `segments of this cluster have ${wanted} bytes; the file was not archived`,
      subject: { file: file.name },
    });
  }

  /** Checks what can be told from a file's first bytes. */
  checkContent(file: WalFile, start: Buffer): void {
    if (file.kind === 'segment' || file.kind === 'partial') {
      checkSegmentHeader(readSegmentHeader(start, file.name), file, this.identity);
    } else if (file.kind === 'history') {
      parseHistory(file.timeline, start.toString('utf8'));
    }
  }

  /**
   * Reads a file of at most {@link IN_MEMORY_BYTES} back and verifies everything about it.
   *
   * @returns undefined only if the store says that there is none
   * @throws SkytoolsError WAL_OBJECT_DAMAGED
   */
  async readFile(name: string): Promise<Buffer | undefined> {
    const file = parseWalName(name);
    const key = this.keys.file(file);
    const found = await this.store.get(key, IN_MEMORY_BYTES * 2);
    if (!found) return undefined;
    const plain = await unpack(key, found.body, found.info.metadata, IN_MEMORY_BYTES);
    this.#checkSize(file, plain.length);
    this.checkContent(file, plain);
    return plain;
  }

  /**
   * Writes a file to `target` (which is durable and complete when this returns, and must not matter before).
   *
   * @returns false only if the store says that there is no such file
   */
  async fetchFile(name: string, target: string): Promise<boolean> {
    const file = parseWalName(name);
    if (this.identity.segmentSize > IN_MEMORY_BYTES && file.kind !== 'history' && file.kind !== 'backup') {
      return this.#fetchLarge(file, target);
    }
    const plain = await this.readFile(name);
    if (!plain) return false;
    const handle = await open(target, 'w', 0o600);
    try {
      await handle.writeFile(plain);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    return true;
  }

  async #fetchLarge(file: WalFile, target: string): Promise<boolean> {
    const key = this.keys.file(file);
    const info = await this.store.head(key);
    if (!info) return false;
    const { metadata } = info;
    const unpacker = decompressor(checkCodec(metadata.codec));
    const plainHash = createHash('sha256');
    const objectHash = createHash('sha256');
    await pipeline([
      Readable.from(this.store.read(key)),
      tap((chunk) => objectHash.update(chunk)),
      ...(unpacker ? [unpacker] : []),
      tap((chunk) => plainHash.update(chunk)),
      createWriteStream(target, { mode: 0o600, flush: true }),
    ]);
    if (
      objectHash.digest('hex') !== metadata['object-sha256'] ||
      plainHash.digest('hex') !== metadata['plain-sha256']
    ) {
      throw damaged(key, 'its checksum is wrong');
    }
    this.#checkSize(file, (await stat(target)).size);
    this.checkContent(file, await readStart(target, LONG_HEADER_BYTES));
    return true;
  }
}

/** The metadata of a stored file, `x-amz-meta-` left out. */
export function objectMetadata(described: {
  plainSize: number;
  plainSha256: string;
  objectSha256: string;
  codec: string;
}): Record<string, string> {
  return {
    layout: String(LAYOUT_VERSION),
    codec: described.codec,
    'plain-size': String(described.plainSize),
    'plain-sha256': described.plainSha256,
    'object-sha256': described.objectSha256,
  };
}

function damaged(key: string, what: string, cause?: unknown): SkytoolsError {
  return new SkytoolsError('WAL_OBJECT_DAMAGED', `${key} is damaged: ${what}`, {
    hint: 'fetch it again; if that does not help, restore an older version of the object, or begin with a new base backup',
    subject: { key },
    cause,
  });
}

/**
 * Decompresses an object's bytes and compares what comes out with the object's metadata: size and SHA-256 of the file as
 * PostgreSQL wrote it, which covers every byte of the object.
 *
 * @throws SkytoolsError WAL_OBJECT_DAMAGED
 */
export async function unpack(
  key: string,
  body: Buffer,
  metadata: Record<string, string>,
  limit: number,
): Promise<Buffer> {
  const codec = checkCodec(metadata.codec);
  const size = Number(metadata['plain-size']);
  if (!(size <= limit)) throw damaged(key, 'it does not tell its size');
  let plain: Buffer;
  try {
    plain = await decompress(body, codec, size);
  } catch (error) {
    throw damaged(key, 'it cannot be decompressed', error);
  }
  if (plain.length !== size || sha256(plain) !== metadata['plain-sha256']) {
    throw damaged(key, 'the checksum of its content is wrong');
  }
  return plain;
}

/** The first `bytes` bytes of a file. */
export async function readStart(path: string, bytes: number): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** A stream that shows what passes and changes nothing. */
export function tap(see: (chunk: Buffer) => void): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      see(chunk);
      done(null, chunk);
    },
  });
}

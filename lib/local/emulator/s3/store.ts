import { createHash, randomUUID } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ChecksumAlgorithm } from '../checksums.ts';
import { KeyIndex } from './key-index.ts';

/** A run of bytes in a file of the bucket's `blobs` directory. */
export interface Blob {
  readonly file: string;
  readonly size: number;
}

export interface StoredChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** base64; composite checksums end in `-N`. */
  readonly value: string;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
}

/** What the sender of an object chose to say about it. */
export interface Description {
  /** Content-Type, Content-Encoding and the like, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** x-amz-meta-*, without that prefix. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

export interface StoredObject extends Description {
  readonly key: string;
  /** A multipart object keeps its parts as they came: completing an upload moves no bytes. */
  readonly blobs: readonly Blob[];
  readonly size: number;
  /** Without quotes. */
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
  readonly checksum?: StoredChecksum;
}

export interface StoredPart {
  readonly number: number;
  readonly blob: Blob;
  readonly etag: string;
  readonly modified: number;
  readonly checksum?: StoredChecksum;
}

export interface StoredUpload {
  readonly id: string;
  readonly key: string;
  readonly description: Description;
  readonly initiated: number;
  readonly algorithm?: ChecksumAlgorithm;
  readonly checksumType: StoredChecksum['type'];
  readonly parts: Readonly<Record<number, StoredPart>>;
}

/** Messages of a bucket's events go to these queues. */
export interface QueueNotification {
  readonly id: string;
  readonly queueArn: string;
  readonly events: readonly string[];
  readonly prefix: string;
  readonly suffix: string;
}

/**
 * One bucket in one directory: `blobs/` holds bytes, `objects/` and `uploads/` hold one JSON document each, whose
 * rename into place is the moment at which the object exists. A process killed at any point leaves either the old
 * state or the new, and blobs that nothing names, which the next start removes. Files are not fsynced: the emulator
 * survives its own death, not the machine's.
 */
export class Bucket {
  readonly name: string;
  readonly directory: string;
  readonly created: number;
  readonly objects = new KeyIndex<StoredObject>();
  readonly uploads = new Map<string, StoredUpload>();
  notifications: readonly QueueNotification[];
  /** Conditional writes on their way; a deletion of their key makes them lose (409). */
  readonly contenders = new Set<{ readonly key: string; deleted: boolean }>();
  private readonly readers = new Map<string, number>();
  private readonly doomed = new Set<string>();

  private constructor(
    name: string,
    directory: string,
    created: number,
    notifications: readonly QueueNotification[],
  ) {
    this.name = name;
    this.directory = directory;
    this.created = created;
    this.notifications = notifications;
  }

  static create(root: string, name: string): Bucket {
    const bucket = new Bucket(name, join(root, name), Date.now(), []);
    for (const part of ['blobs', 'objects', 'uploads'])
      mkdirSync(join(bucket.directory, part), { recursive: true });
    bucket.saveSettings();
    return bucket;
  }

  /** Takes up a bucket where an earlier emulator left it; a bare directory is a new bucket. */
  static load(root: string, name: string): Bucket {
    const directory = join(root, name);
    if (!existsSync(join(directory, 'bucket.json'))) return Bucket.create(root, name);
    const settings = JSON.parse(readFileSync(join(directory, 'bucket.json'), 'utf8'));
    const bucket = new Bucket(name, directory, settings.created, settings.notifications);
    const named = new Set<string>();
    for (const object of readDocuments<StoredObject>(join(directory, 'objects'))) {
      bucket.objects.set(object.key, object);
      for (const blob of object.blobs) named.add(blob.file);
    }
    for (const upload of readDocuments<StoredUpload>(join(directory, 'uploads'))) {
      bucket.uploads.set(upload.id, upload);
      for (const part of Object.values(upload.parts)) named.add(part.blob.file);
    }
    for (const file of readdirSync(join(directory, 'blobs'))) {
      if (!named.has(file)) rmSync(join(directory, 'blobs', file));
    }
    return bucket;
  }

  saveSettings(): void {
    this.write('bucket.json', { created: this.created, notifications: this.notifications });
  }

  destroy(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A name that no blob has yet, and its path. */
  newBlob(): { file: string; path: string } {
    const file = randomUUID();
    return { file, path: this.blobPath(file) };
  }

  blobPath(file: string): string {
    return join(this.directory, 'blobs', file);
  }

  /** Makes the object visible, in one step; the bytes that it replaces are removed. */
  putObject(object: StoredObject): void {
    const previous = this.objects.get(object.key);
    this.write(objectFile(object.key), object);
    this.objects.set(object.key, object);
    if (previous) this.discard(previous.blobs.filter((blob) => !object.blobs.includes(blob)));
  }

  deleteObject(key: string): boolean {
    const object = this.objects.get(key);
    if (!object) return false;
    rmSync(join(this.directory, objectFile(key)), { force: true });
    this.objects.delete(key);
    this.discard(object.blobs);
    for (const contender of this.contenders) if (contender.key === key) contender.deleted = true;
    return true;
  }

  putUpload(upload: StoredUpload): void {
    this.write(join('uploads', `${upload.id}.json`), upload);
    this.uploads.set(upload.id, upload);
  }

  /** Forgets an upload; the blobs in `kept` have become an object's. */
  deleteUpload(upload: StoredUpload, kept: readonly Blob[] = []): void {
    rmSync(join(this.directory, 'uploads', `${upload.id}.json`), { force: true });
    this.uploads.delete(upload.id);
    const files = new Set(kept.map((blob) => blob.file));
    this.discard(
      Object.values(upload.parts).flatMap((part) => (files.has(part.blob.file) ? [] : [part.blob])),
    );
  }

  /** Removes bytes, but not from under those who are reading them. */
  discard(blobs: readonly Blob[]): void {
    for (const { file } of blobs) {
      if (this.readers.has(file)) this.doomed.add(file);
      else unlink(this.blobPath(file)).catch(() => undefined);
    }
  }

  /** The bytes from `start` to `end`, both included. */
  read(object: StoredObject, start: number, end: number): Readable {
    const pieces: { file: string; start: number; end: number }[] = [];
    let offset = 0;
    for (const { file, size } of object.blobs) {
      const from = Math.max(start - offset, 0);
      const to = Math.min(end - offset, size - 1);
      if (from <= to) pieces.push({ file, start: from, end: to });
      offset += size;
    }
    for (const { file } of pieces) this.readers.set(file, (this.readers.get(file) ?? 0) + 1);
    const path = (file: string): string => this.blobPath(file);
    const stream = Readable.from(
      (async function* () {
        for (const { file, ...range } of pieces) {
          yield* createReadStream(path(file), { ...range, highWaterMark: READ_SIZE });
        }
      })(),
      { objectMode: false },
    );
    return stream.once('close', () => {
      for (const { file } of pieces) this.release(file);
    });
  }

  private release(file: string): void {
    const readers = (this.readers.get(file) ?? 1) - 1;
    if (readers > 0) this.readers.set(file, readers);
    else {
      this.readers.delete(file);
      if (this.doomed.delete(file)) this.discard([{ file, size: 0 }]);
    }
  }

  private write(file: string, document: object): void {
    const path = join(this.directory, file);
    const temporary = `${path}.${randomUUID()}.tmp`;
    writeFileSync(temporary, JSON.stringify(document));
    renameSync(temporary, path);
  }
}

/** Fewer, larger reads: 256 KiB is where more no longer helps. */
const READ_SIZE = 256 * 1024;

function objectFile(key: string): string {
  return join('objects', `${createHash('sha256').update(key).digest('hex')}.json`);
}

function* readDocuments<Document>(directory: string): Generator<Document> {
  for (const file of readdirSync(directory)) {
    const path = join(directory, file);
    if (file.endsWith('.tmp')) rmSync(path);
    else yield JSON.parse(readFileSync(path, 'utf8')) as Document;
  }
}

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { SkytoolsError } from '../../platform/errors.ts';
import { readUpTo, type S3Body, S3Client, type S3ClientOptions, xmlText } from '../../platform/s3/client.ts';

/** One object of a listing. */
export interface ListedObject {
  key: string;
  size: number;
  modifiedAt: Date;
}

/** What a HEAD or GET tells besides the bytes. */
export interface ObjectInfo {
  size: number;
  etag: string;
  modifiedAt: Date;
  /** `x-amz-meta-*` without that prefix. */
  metadata: Record<string, string>;
}

export interface PutOptions {
  metadata?: Record<string, string>;
  /** Create only: an existing object is left as it is and `false` is returned. */
  onlyIfAbsent?: boolean;
  /** Replace only this version; `false` when it is another one by now. */
  onlyIfEtag?: string;
}

/** Attempts to read one object whose transfer breaks off; each attempt has the client's retries besides. */
const READ_ATTEMPTS = 4;

/** The objects of one bucket. Keys are whole keys. */
export class ObjectStore {
  readonly client: S3Client;

  constructor(options: S3ClientOptions) {
    this.client = new S3Client(options);
  }

  close(): void {
    this.client.close();
  }

  /**
   * Writes an object. S3 compares the bytes with `sha256` before it says yes, so an answer means: durable and intact.
   *
   * @param sha256 of the body, hexadecimal
   * @returns false if a condition was not met
   */
  async put(key: string, body: S3Body, sha256: string, options: PutOptions = {}): Promise<boolean> {
    const response = await this.client.call({
      method: 'PUT',
      key,
      body,
      bodySha256: sha256,
      headers: putHeaders(sha256, options),
      accept: [412, ...(options.onlyIfEtag === undefined ? [] : [404])],
    });
    response.resume();
    return response.statusCode! < 300;
  }

  /** Size, ETag and metadata of an object; undefined if there is none. */
  async head(key: string): Promise<ObjectInfo | undefined> {
    const response = await this.client.call({ method: 'HEAD', key, accept: [404] });
    response.resume();
    return response.statusCode === 404 ? undefined : infoOf(response);
  }

  /**
   * An object as a stream; undefined only if the store says that there is no such key.
   *
   * @param from bytes to leave out at its beginning; `info.size` is then what remains
   */
  async open(key: string, from = 0): Promise<{ info: ObjectInfo; stream: IncomingMessage } | undefined> {
    const response = await this.client.call({
      method: 'GET',
      key,
      accept: [404],
      ...(from > 0 ? { headers: { range: `bytes=${from}-` } } : {}),
    });
    if (response.statusCode !== 404) return { info: infoOf(response), stream: response };
    const text = (await readUpTo(response, 64 * 1024)).toString('utf8');
    const code = xmlText(text, 'Code');
    if (code === 'NoSuchKey') return undefined;
    throw new SkytoolsError('S3_BUCKET_MISSING', `bucket ${this.client.bucket} answered 404 ${code ?? ''}`, {
      hint: 'create the bucket or correct its name',
      subject: { bucket: this.client.bucket, key },
    });
  }

  /** The bytes of a large object; a transfer that breaks off is taken up where it broke. */
  async *read(key: string): AsyncGenerator<Buffer> {
    let received = 0;
    let size = Number.POSITIVE_INFINITY;
    for (let failures = 0; received < size; ) {
      const opened = await this.open(key, received);
      if (!opened) {
        throw new SkytoolsError('S3_OBJECT_MISSING', `${key} is missing`, {
          hint: 'somebody deleted it; a versioned bucket may still have it',
          subject: { key },
        });
      }
      size = received + opened.info.size;
      try {
        for await (const chunk of opened.stream as AsyncIterable<Buffer>) {
          received += chunk.length;
          failures = 0;
          yield chunk;
        }
      } catch (error) {
        if (++failures === READ_ATTEMPTS) throw readBroken(key, failures, error);
        await sleep(failures * 200);
      }
    }
  }

  /** A whole object of at most `limit` bytes, read again when its transfer breaks off. */
  async get(key: string, limit: number): Promise<{ info: ObjectInfo; body: Buffer } | undefined> {
    for (let attempt = 1; ; attempt++) {
      const opened = await this.open(key);
      if (!opened) return undefined;
      try {
        const body = await readUpTo(opened.stream, limit);
        if (body.length === opened.info.size) return { info: opened.info, body };
        throw new Error(`${body.length} of ${opened.info.size} bytes arrived`);
      } catch (error) {
        if (error instanceof SkytoolsError) throw error;
        if (attempt === READ_ATTEMPTS) {
          throw readBroken(key, attempt, error);
        }
        await sleep(attempt * 200);
      }
    }
  }

  /** Every object below a prefix in the order of keys, a page at a time. */
  async *list(prefix: string, startAfter?: string): AsyncGenerator<ListedObject> {
    for await (const page of this.#pages(prefix, startAfter, undefined)) {
      for (const [entry] of page.matchAll(/<Contents>[\s\S]*?<\/Contents>/g)) {
        yield {
          key: xmlText(entry, 'Key')!,
          size: Number(xmlText(entry, 'Size')),
          modifiedAt: new Date(xmlText(entry, 'LastModified')!),
        };
      }
    }
  }

  /** The "directories" directly below a prefix, each with its trailing slash. */
  async *listDirectories(prefix: string): AsyncGenerator<string> {
    for await (const page of this.#pages(prefix, undefined, '/')) {
      for (const [entry] of page.matchAll(/<CommonPrefixes>[\s\S]*?<\/CommonPrefixes>/g)) {
        yield xmlText(entry, 'Prefix')!;
      }
    }
  }

  async *#pages(prefix: string, startAfter: string | undefined, delimiter: string | undefined) {
    for (let token: string | undefined; ; ) {
      const response = await this.client.call({
        method: 'GET',
        key: '',
        query: {
          'list-type': '2',
          prefix,
          ...(delimiter === undefined ? {} : { delimiter }),
          ...(startAfter === undefined || token !== undefined ? {} : { 'start-after': startAfter }),
          ...(token === undefined ? {} : { 'continuation-token': token }),
        },
      });
      const xml = (await readUpTo(response, 16 << 20)).toString('utf8');
      yield xml;
      token = xmlText(xml, 'NextContinuationToken');
      if (xmlText(xml, 'IsTruncated') !== 'true' || token === undefined) return;
    }
  }

  async delete(key: string): Promise<void> {
    (await this.client.call({ method: 'DELETE', key, accept: [404] })).resume();
  }

  /** Begins a multipart upload and returns its id. */
  async beginUpload(key: string, metadata: Record<string, string>): Promise<string> {
    const response = await this.client.call({
      method: 'POST',
      key,
      query: { uploads: '' },
      headers: { 'x-amz-checksum-algorithm': 'SHA256', ...metadataHeaders(metadata) },
    });
    return xmlText((await readUpTo(response, 64 * 1024)).toString('utf8'), 'UploadId')!;
  }

  /** Sends one part (5 MiB or more, but for the last); returns what {@link completeUpload} needs of it. */
  async putPart(key: string, uploadId: string, number: number, body: Buffer): Promise<UploadedPart> {
    const digest = createHash('sha256').update(body).digest();
    const sha256 = digest.toString('base64');
    const response = await this.client.call({
      method: 'PUT',
      key,
      query: { partNumber: String(number), uploadId },
      body,
      bodySha256: digest.toString('hex'),
      headers: { 'x-amz-checksum-sha256': sha256 },
    });
    response.resume();
    return { number, etag: response.headers.etag!, sha256 };
  }

  /** Puts the parts together; the object appears whole or not at all. False if there is one of this name already. */
  async completeUpload(key: string, uploadId: string, parts: UploadedPart[]): Promise<boolean> {
    const list = parts.map(
      (part) =>
        `<Part><PartNumber>${part.number}</PartNumber><ETag>${part.etag.replaceAll('"', '&quot;')}</ETag>` +
        `<ChecksumSHA256>${part.sha256}</ChecksumSHA256></Part>`,
    );
    const body = Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`);
    const response = await this.client.call({
      method: 'POST',
      key,
      query: { uploadId },
      body,
      bodySha256: createHash('sha256').update(body).digest('hex'),
      headers: { 'if-none-match': '*', 'content-type': 'application/xml' },
      accept: [412],
    });
    const text = (await readUpTo(response, 64 * 1024)).toString('utf8');
    if (response.statusCode === 412) return false;
    // S3 may answer 200 first and report a failure in the body.
    if (/<Error>/.test(text)) {
      throw new SkytoolsError(
        'S3_REQUEST_FAILED',
        `completing ${key}: s3 answered ${xmlText(text, 'Code')}`,
        {
          hint: 'run the backup again',
          subject: { key },
          retryable: true,
        },
      );
    }
    return true;
  }

  async abortUpload(key: string, uploadId: string): Promise<void> {
    (await this.client.call({ method: 'DELETE', key, query: { uploadId }, accept: [404] })).resume();
  }
}

function readBroken(key: string, times: number, cause: unknown): SkytoolsError {
  return new SkytoolsError('S3_READ_BROKEN', `reading ${key} broke off ${times} times`, {
    hint: 'check the network between here and the store',
    subject: { key },
    cause,
    retryable: true,
  });
}

/** A part of a multipart upload that S3 has. */
export interface UploadedPart {
  number: number;
  etag: string;
  sha256: string;
}

/** The headers of a checked, perhaps conditional write: what a presigned upload has to send, too. */
export function putHeaders(sha256: string, options: PutOptions): Record<string, string> {
  return {
    'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64'),
    ...(options.onlyIfAbsent ? { 'if-none-match': '*' } : {}),
    ...(options.onlyIfEtag === undefined ? {} : { 'if-match': options.onlyIfEtag }),
    ...metadataHeaders(options.metadata ?? {}),
  };
}

function metadataHeaders(metadata: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]));
}

function infoOf(response: IncomingMessage): ObjectInfo {
  const { headers } = response;
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith('x-amz-meta-')) metadata[name.slice('x-amz-meta-'.length)] = String(value);
  }
  return {
    size: Number(headers['content-length'] ?? 0),
    etag: headers.etag ?? '',
    modifiedAt: new Date(headers['last-modified'] ?? 0),
    metadata,
  };
}

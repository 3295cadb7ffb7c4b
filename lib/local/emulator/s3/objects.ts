import { constants, copyFile } from 'node:fs/promises';
import { type Answer, header, parameter, type Request, ServiceError } from '../wire.ts';
import { childrenOf, parseXml, renderXml, textOf } from '../xml.ts';
import { namedAlgorithm, receiveBody, receiveText } from './body.ts';
import { requireReadable, requireWritable } from './conditions.ts';
import { checksumHeaders, describe, objectHeaders } from './description.ts';
import type { Bucket, StoredObject } from './store.ts';
import type { Target } from './target.ts';

/**
 * Runs a write under its conditions: they are checked before the body is read, so that a refusal is cheap, and again
 * by the returned function in the same turn as the object becomes visible, so that of several writers one wins.
 */
export async function writeConditionally<Result>(
  bucket: Bucket,
  key: string,
  request: Request,
  work: (confirm: () => void) => Promise<Result>,
): Promise<Result> {
  requireWritable(request, bucket.objects.get(key));
  const conditional =
    request.headers['if-none-match'] !== undefined || request.headers['if-match'] !== undefined;
  const contender = { key, deleted: false };
  if (conditional) bucket.contenders.add(contender);
  try {
    return await work(() => {
      if (contender.deleted) {
        throw new ServiceError(
          409,
          'ConditionalRequestConflict',
          'The conditional request cannot succeed due to a conflicting operation against this resource.',
        );
      }
      requireWritable(request, bucket.objects.get(key));
    });
  } finally {
    bucket.contenders.delete(contender);
  }
}

export async function putObject({ bucket, key, request, notify }: Target): Promise<Answer> {
  const description = describe(request);
  return writeConditionally(bucket, key, request, async (confirm) => {
    const { blob, md5, checksum } = await receiveBody(bucket, request);
    try {
      confirm();
    } catch (error) {
      bucket.discard([blob]);
      throw error;
    }
    const object: StoredObject = {
      ...description,
      key,
      blobs: [blob],
      size: blob.size,
      etag: md5,
      modified: Date.now(),
      ...(checksum && { checksum }),
    };
    bucket.putObject(object);
    notify('ObjectCreated:Put', object);
    return { status: 200, headers: { etag: `"${md5}"`, ...checksumHeaders(checksum) } };
  });
}

export async function getObject({ bucket, key, request }: Target): Promise<Answer> {
  const object = requireObject(bucket, key);
  requireReadable(request, object);
  const withChecksum = header(request, 'x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
  const range = parseRange(request.headers.range, object.size);
  const headers = objectHeaders(object, withChecksum && !range);
  for (const [name, value] of request.query) {
    if (name.startsWith('response-')) headers[name.slice('response-'.length)] = value;
  }
  const [start, end] = range ?? [0, object.size - 1];
  headers['content-length'] = String(end - start + 1);
  if (range) headers['content-range'] = `bytes ${start}-${end}/${object.size}`;
  const answer = { status: range ? 206 : 200, headers };
  return request.method === 'HEAD' || end < start
    ? answer
    : { ...answer, body: bucket.read(object, start, end) };
}

export async function deleteObject({ bucket, key, request, notify }: Target): Promise<Answer> {
  const object = bucket.objects.get(key);
  if (request.headers['if-match'] !== undefined) requireWritable(request, object);
  if (bucket.deleteObject(key) && object) notify('ObjectRemoved:Delete', object);
  return { status: 204 };
}

export async function deleteObjects({ bucket, request, notify }: Target): Promise<Answer> {
  const document = parseXml(await receiveText(request));
  const entries = document ? childrenOf(document, 'Object') : [];
  if (document?.name !== 'Delete' || entries.length === 0 || entries.length > 1000) {
    throw new ServiceError(400, 'MalformedXML', 'The XML you provided was not well-formed');
  }
  const quiet = textOf(document, 'Quiet') === 'true';
  const deleted = entries.map((entry) => {
    const key = textOf(entry, 'Key') ?? '';
    const object = bucket.objects.get(key);
    if (bucket.deleteObject(key) && object) notify('ObjectRemoved:Delete', object);
    return key;
  });
  return xmlAnswer(
    renderXml(['DeleteResult', quiet ? [] : deleted.map((key) => ['Deleted', [['Key', key]]] as const)]),
  );
}

export async function copyObject(target: Target): Promise<Answer> {
  const { bucket, key, request, notify } = target;
  const [sourceBucket, source] = copySource(target);
  const replaceMetadata = header(request, 'x-amz-metadata-directive') === 'REPLACE';
  const replaceTags = header(request, 'x-amz-tagging-directive') === 'REPLACE';
  if (sourceBucket === bucket && source.key === key && !replaceMetadata) {
    throw new ServiceError(
      400,
      'InvalidRequest',
      'This copy request is illegal because it copies an object to itself',
    );
  }
  const algorithm = namedAlgorithm(header(request, 'x-amz-checksum-algorithm'));
  if (algorithm && algorithm !== source.checksum?.algorithm) {
    throw new ServiceError(501, 'NotImplemented', 'a copy keeps the checksum of its source');
  }
  requireReadable(request, source, 'x-amz-copy-source-');
  const described = describe(request);
  return writeConditionally(bucket, key, request, async (confirm) => {
    const blobs = await Promise.all(
      source.blobs.map(async ({ file, size }) => {
        const copy = bucket.newBlob();
        await copyFile(sourceBucket.blobPath(file), copy.path, constants.COPYFILE_FICLONE);
        return { file: copy.file, size };
      }),
    );
    try {
      confirm();
    } catch (error) {
      bucket.discard(blobs);
      throw error;
    }
    const { headers, metadata } = replaceMetadata ? described : source;
    const object: StoredObject = {
      ...source,
      key,
      blobs,
      headers,
      metadata,
      tags: replaceTags ? described.tags : source.tags,
      modified: Date.now(),
    };
    bucket.putObject(object);
    notify('ObjectCreated:Copy', object);
    return xmlAnswer(
      renderXml([
        'CopyObjectResult',
        [
          ['LastModified', new Date(object.modified).toISOString()],
          ['ETag', `"${object.etag}"`],
          object.checksum && [`Checksum${object.checksum.algorithm.toUpperCase()}`, object.checksum.value],
          object.checksum && ['ChecksumType', object.checksum.type],
        ],
      ]),
    );
  });
}

function copySource({ request, buckets }: Target): [Bucket, StoredObject] {
  const text = decodeURIComponent(header(request, 'x-amz-copy-source') ?? '').replace(/^\//, '');
  const slash = text.indexOf('/');
  const bucket = buckets.get(text.slice(0, slash));
  if (!bucket) throw new ServiceError(404, 'NoSuchBucket', 'The specified bucket does not exist');
  return [bucket, requireObject(bucket, text.slice(slash + 1))];
}

/** The object of this key, or NoSuchKey. */
export function requireObject(bucket: Bucket, key: string): StoredObject {
  const object = bucket.objects.get(key);
  if (!object) throw new ServiceError(404, 'NoSuchKey', 'The specified key does not exist.');
  return object;
}

/** Reads a Range header; forms that RFC 9110 lets a server ignore are ignored, as S3 does. */
function parseRange(text: string | undefined, size: number): [number, number] | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(text?.trim() ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [, first = '', last = ''] = match;
  const start = first === '' ? Math.max(size - Number(last), 0) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  if (start >= size || (first === '' && Number(last) === 0)) {
    throw new ServiceError(416, 'InvalidRange', 'The requested range is not satisfiable', {
      'content-range': `bytes */${size}`,
    });
  }
  return [start, end];
}

/** A successful answer that carries a document. */
export function xmlAnswer(body: string): Answer {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body };
}

/** A query parameter that must be there. */
export function requireParameter(request: Request, name: string): string {
  const value = parameter(request, name);
  if (value === undefined) throw new ServiceError(400, 'InvalidArgument', `${name} is missing`);
  return value;
}

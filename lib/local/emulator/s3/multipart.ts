import { createHash, randomBytes } from 'node:crypto';
import { combineCrc, checksum as startChecksum } from '../checksums.ts';
import { type Answer, header, parameter, ServiceError } from '../wire.ts';
import { childrenOf, type Element, type Parsed, parseXml, renderXml, textOf } from '../xml.ts';
import { namedAlgorithm, receiveBody, receiveText } from './body.ts';
import { checksumHeaders, describe } from './description.ts';
import { requireParameter, writeConditionally, xmlAnswer } from './objects.ts';
import type { StoredChecksum, StoredObject, StoredPart, StoredUpload } from './store.ts';
import type { Target } from './target.ts';

/** Every part but the last has at least 5 MiB. */
const MINIMUM_PART_BYTES = 5 * 1024 ** 2;
const MAXIMUM_PART_NUMBER = 10_000;

export async function createMultipartUpload({ bucket, key, request }: Target): Promise<Answer> {
  const algorithm = namedAlgorithm(header(request, 'x-amz-checksum-algorithm'));
  const wholeOnly = algorithm === 'crc64nvme';
  const type = header(request, 'x-amz-checksum-type') ?? (wholeOnly ? 'FULL_OBJECT' : 'COMPOSITE');
  if ((type === 'COMPOSITE' && wholeOnly) || (type === 'FULL_OBJECT' && algorithm?.startsWith('sha'))) {
    throw new ServiceError(
      400,
      'InvalidRequest',
      `The ${type} checksum type cannot be used with ${algorithm}.`,
    );
  }
  const upload: StoredUpload = {
    id: randomBytes(24).toString('base64url'),
    key,
    description: describe(request),
    initiated: Date.now(),
    ...(algorithm && { algorithm }),
    checksumType: type === 'FULL_OBJECT' ? 'FULL_OBJECT' : 'COMPOSITE',
    parts: {},
  };
  bucket.putUpload(upload);
  const answer = xmlAnswer(
    renderXml([
      'InitiateMultipartUploadResult',
      [
        ['Bucket', bucket.name],
        ['Key', key],
        ['UploadId', upload.id],
      ],
    ]),
  );
  if (!algorithm) return answer;
  return {
    ...answer,
    headers: {
      ...answer.headers,
      'x-amz-checksum-algorithm': algorithm.toUpperCase(),
      'x-amz-checksum-type': upload.checksumType,
    },
  };
}

export async function uploadPart(target: Target): Promise<Answer> {
  const { bucket, request } = target;
  const number = Number(requireParameter(request, 'partNumber'));
  if (!Number.isInteger(number) || number < 1 || number > MAXIMUM_PART_NUMBER) {
    throw new ServiceError(
      400,
      'InvalidArgument',
      'Part number must be an integer between 1 and 10000, inclusive',
    );
  }
  const { algorithm } = requireUpload(target);
  const { blob, md5, checksum } = await receiveBody(bucket, request, algorithm);
  const upload = bucket.uploads.get(parameter(request, 'uploadId') ?? '');
  if (!upload) {
    bucket.discard([blob]);
    throw noSuchUpload();
  }
  if (algorithm && checksum?.algorithm !== algorithm) {
    bucket.discard([blob]);
    throw new ServiceError(
      400,
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${algorithm}, actual checksum Type: ${checksum?.algorithm}`,
    );
  }
  const part: StoredPart = { number, blob, etag: md5, modified: Date.now(), ...(checksum && { checksum }) };
  const previous = upload.parts[number];
  bucket.putUpload({ ...upload, parts: { ...upload.parts, [number]: part } });
  if (previous) bucket.discard([previous.blob]);
  const { 'x-amz-checksum-type': _, ...headers } = checksumHeaders(checksum);
  return { status: 200, headers: { etag: `"${md5}"`, ...headers } };
}

export async function completeMultipartUpload(target: Target): Promise<Answer> {
  const { bucket, key, request, notify } = target;
  requireUpload(target);
  const document = parseXml(await receiveText(request));
  return writeConditionally(bucket, key, request, async (confirm) => {
    const upload = requireUpload(target);
    const parts = requireParts(document, upload);
    const checksum = wholeChecksum(upload, parts);
    if (checksum) {
      const claimed = header(request, `x-amz-checksum-${checksum.algorithm}`);
      if (claimed !== undefined && claimed.replace(/-\d+$/, '') !== checksum.value.replace(/-\d+$/, '')) {
        throw new ServiceError(
          400,
          'BadDigest',
          'The checksum you specified did not match the calculated checksum.',
        );
      }
    }
    confirm();
    const blobs = parts.map((part) => part.blob);
    const md5s = Buffer.concat(parts.map((part) => Buffer.from(part.etag, 'hex')));
    const object: StoredObject = {
      ...upload.description,
      key,
      blobs,
      size: blobs.reduce((sum, blob) => sum + blob.size, 0),
      etag: `${createHash('md5').update(md5s).digest('hex')}-${parts.length}`,
      modified: Date.now(),
      ...(checksum && { checksum }),
    };
    bucket.putObject(object);
    bucket.deleteUpload(upload, blobs);
    notify('ObjectCreated:CompleteMultipartUpload', object);
    return xmlAnswer(
      renderXml([
        'CompleteMultipartUploadResult',
        [
          ['Location', `http://${request.headers.host}/${bucket.name}/${encodeURIComponent(key)}`],
          ['Bucket', bucket.name],
          ['Key', key],
          ['ETag', `"${object.etag}"`],
          checksumElement(checksum),
          checksum && ['ChecksumType', checksum.type],
        ],
      ]),
    );
  });
}

export async function abortMultipartUpload(target: Target): Promise<Answer> {
  target.bucket.deleteUpload(requireUpload(target));
  return { status: 204 };
}

export async function listParts(target: Target): Promise<Answer> {
  const { bucket, key, request } = target;
  const upload = requireUpload(target);
  const marker = Number(parameter(request, 'part-number-marker') ?? 0);
  const maximum = Math.min(Number(parameter(request, 'max-parts') ?? 1000), 1000);
  const after = Object.values(upload.parts).filter((part) => part.number > marker);
  const page = after.slice(0, maximum);
  return xmlAnswer(
    renderXml([
      'ListPartsResult',
      [
        ['Bucket', bucket.name],
        ['Key', key],
        ['UploadId', upload.id],
        ['PartNumberMarker', marker],
        page.length > 0 ? ['NextPartNumberMarker', (page.at(-1) as StoredPart).number] : undefined,
        ['MaxParts', maximum],
        ['IsTruncated', after.length > page.length],
        upload.algorithm && ['ChecksumAlgorithm', upload.algorithm.toUpperCase()],
        upload.algorithm && ['ChecksumType', upload.checksumType],
        ...page.map(
          (part): Element => [
            'Part',
            [
              ['PartNumber', part.number],
              ['LastModified', new Date(part.modified).toISOString()],
              ['ETag', `"${part.etag}"`],
              ['Size', part.blob.size],
              checksumElement(part.checksum),
            ],
          ],
        ),
      ],
    ]),
  );
}

export async function listMultipartUploads({ bucket, request }: Target): Promise<Answer> {
  const prefix = parameter(request, 'prefix') ?? '';
  const uploads = [...bucket.uploads.values()]
    .filter((upload) => upload.key.startsWith(prefix))
    .sort((left, right) =>
      left.key < right.key ? -1 : left.key > right.key ? 1 : left.initiated - right.initiated,
    );
  return xmlAnswer(
    renderXml([
      'ListMultipartUploadsResult',
      [
        ['Bucket', bucket.name],
        ['Prefix', prefix],
        ['MaxUploads', Math.max(uploads.length, 1000)],
        ['IsTruncated', false],
        ...uploads.map(
          (upload): Element => [
            'Upload',
            [
              ['Key', upload.key],
              ['UploadId', upload.id],
              ['Initiated', new Date(upload.initiated).toISOString()],
              ['StorageClass', 'STANDARD'],
            ],
          ],
        ),
      ],
    ]),
  );
}

function requireUpload({ bucket, key, request }: Target): StoredUpload {
  const upload = bucket.uploads.get(parameter(request, 'uploadId') ?? '');
  if (!upload || upload.key !== key) throw noSuchUpload();
  return upload;
}

function noSuchUpload(): ServiceError {
  return new ServiceError(
    404,
    'NoSuchUpload',
    'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
  );
}

/** The parts that a completion names, verified against what was uploaded. */
function requireParts(document: Parsed | undefined, upload: StoredUpload): StoredPart[] {
  const entries = document ? childrenOf(document, 'Part') : [];
  if (entries.length === 0)
    throw new ServiceError(400, 'MalformedXML', 'The XML you provided was not well-formed');
  const numbers = entries.map((entry) => Number(textOf(entry, 'PartNumber')));
  if (numbers.some((number, index) => !(number > (numbers[index - 1] ?? 0)))) {
    throw new ServiceError(400, 'InvalidPartOrder', 'The list of parts was not in ascending order.');
  }
  return entries.map((entry, index) => {
    const number = numbers[index] as number;
    const part = upload.parts[number];
    if (!part || textOf(entry, 'ETag')?.replaceAll('"', '') !== part.etag) throw invalidPart();
    if (upload.algorithm && upload.checksumType === 'COMPOSITE') {
      const claimed = textOf(entry, `Checksum${upload.algorithm.toUpperCase()}`);
      if (claimed === undefined) {
        throw new ServiceError(
          400,
          'InvalidRequest',
          `The upload was created using a ${upload.algorithm} checksum. The complete request must include the checksum for each part. It was missing for part ${number} in the request.`,
        );
      }
      if (claimed !== part.checksum?.value) throw invalidPart();
    }
    if (index < entries.length - 1 && part.blob.size < MINIMUM_PART_BYTES) {
      throw new ServiceError(
        400,
        'EntityTooSmall',
        'Your proposed upload is smaller than the minimum allowed object size',
      );
    }
    return part;
  });
}

function invalidPart(): ServiceError {
  return new ServiceError(
    400,
    'InvalidPart',
    "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag.",
  );
}

function wholeChecksum(upload: StoredUpload, parts: readonly StoredPart[]): StoredChecksum | undefined {
  const { algorithm, checksumType } = upload;
  if (!algorithm) return undefined;
  const pieces = parts.map((part) => Buffer.from(part.checksum?.value ?? '', 'base64'));
  if (checksumType === 'COMPOSITE') {
    const digest = startChecksum(algorithm);
    for (const piece of pieces) digest.update(piece);
    return { algorithm, value: `${digest.digest().toString('base64')}-${parts.length}`, type: 'COMPOSITE' };
  }
  let value = pieces[0] as Buffer;
  for (const [index, part] of parts.entries()) {
    if (index > 0) value = combineCrc(algorithm, value, pieces[index] as Buffer, part.blob.size);
  }
  return { algorithm, value: value.toString('base64'), type: 'FULL_OBJECT' };
}

function checksumElement(checksum: StoredChecksum | undefined): Element | undefined {
  return checksum && [`Checksum${checksum.algorithm.toUpperCase()}`, checksum.value];
}

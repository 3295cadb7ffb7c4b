// One contract for every S3 and SQS that the project runs on: the embedded emulator by default, or the service at
// SKYTOOLS_CONTRACT_ENDPOINT (moto, LocalStack, AWS's own). Promises that a foreign service is known not to keep are
// listed in SKYTOOLS_CONTRACT_SKIP, comma-separated parts of test names. moto 5.2 does not keep these ten: it verifies
// no checksum and no signature (unless in its IAM mode), gives no checksum of a PUT or of a whole upload back, fails
// with 500 on completing an aborted upload, takes parts in any order, lets a stale receipt handle delete a message,
// and writes a space in an event's key as %20:
//   every checksum,wrong checksum,composite ETag,full-object,aborted upload,wrong parts,binds its condition,
//   altered or missing,old receipt,tells the queue

import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutBucketNotificationConfigurationCommand,
  PutObjectCommand,
  type PutObjectCommandOutput,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  type Message,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshBucket, freshEmulator, KEYS, refusal, s3Client, sqsClient } from './service.ts';

const foreign = process.env.SKYTOOLS_CONTRACT_ENDPOINT;
const skipped = (process.env.SKYTOOLS_CONTRACT_SKIP ?? '').split(',').filter(Boolean);

let endpoint: string;
let s3: S3Client;
let sqs: SQSClient;
let dispose = async (): Promise<void> => {};

beforeAll(async () => {
  if (foreign) endpoint = foreign;
  else {
    const fresh = await freshEmulator();
    endpoint = fresh.emulator.endpoint;
    dispose = fresh.dispose;
  }
  s3 = s3Client(endpoint);
  sqs = sqsClient(endpoint);
});

afterAll(async () => {
  s3.destroy();
  sqs.destroy();
  await dispose();
});

function promise(name: string, test: () => Promise<void>): void {
  it.skipIf(skipped.some((part) => name.includes(part)))(name, test);
}

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('base64');
const crc = (data: string | Buffer): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc32(data));
  return bytes.toString('base64');
};

async function presign(
  method: string,
  path: string,
  options: {
    headers?: Record<string, string>;
    query?: Record<string, string>;
    expiresIn?: number;
    at?: Date;
  },
): Promise<string> {
  const url = new URL(endpoint);
  const signer = await s3.config.signer();
  const request = await (
    signer as unknown as {
      presign(request: object, options: object): Promise<{ query: Record<string, string> }>;
    }
  ).presign(
    {
      method,
      protocol: url.protocol,
      hostname: url.hostname,
      port: Number(url.port),
      path,
      query: options.query ?? {},
      headers: { host: url.host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', ...options.headers },
    },
    {
      expiresIn: options.expiresIn ?? 60,
      signingDate: options.at ?? new Date(),
      unhoistableHeaders: new Set(Object.keys(options.headers ?? {})),
    },
  );
  return `${endpoint}${path}?${new URLSearchParams(request.query)}`;
}

describe('S3 buckets', () => {
  promise('a bucket is created, listed, found and deleted when it is empty', async () => {
    const Bucket = await freshBucket(s3);
    await s3.send(new HeadBucketCommand({ Bucket }));
    expect((await s3.send(new ListBucketsCommand({}))).Buckets?.map((bucket) => bucket.Name)).toContain(
      Bucket,
    );
    await s3.send(new CreateBucketCommand({ Bucket }));
    await s3.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
    expect(await refusal(s3.send(new DeleteBucketCommand({ Bucket })))).toEqual({
      name: 'BucketNotEmpty',
      status: 409,
    });
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
    await s3.send(new DeleteBucketCommand({ Bucket }));
    expect((await refusal(s3.send(new HeadBucketCommand({ Bucket })))).status).toBe(404);
    const missing = await refusal(s3.send(new GetObjectCommand({ Bucket, Key: 'a' })));
    expect(missing).toEqual({ name: 'NoSuchBucket', status: 404 });
  });
});

describe('S3 objects', () => {
  promise('an object comes back byte for byte with its headers, metadata and ETag', async () => {
    const Bucket = await freshBucket(s3);
    const Key = "wal/a b+c&ü/'(1)*!~.zst";
    const Body = randomBytes(100_000);
    const put = await s3.send(
      new PutObjectCommand({
        Bucket,
        Key,
        Body,
        ContentType: 'application/octet-stream',
        ContentEncoding: 'zstd',
        Metadata: { codec: 'zstd', sha256: sha256(Body) },
      }),
    );
    expect(put.ETag).toBe(`"${createHash('md5').update(Body).digest('hex')}"`);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(Body)).toBe(true);
    expect(got).toMatchObject({
      ETag: put.ETag,
      ContentLength: 100_000,
      ContentType: 'application/octet-stream',
      ContentEncoding: 'zstd',
      Metadata: { codec: 'zstd', sha256: sha256(Body) },
    });
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key }));
    expect(head.ContentLength).toBe(100_000);
    expect(Math.abs((head.LastModified?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  promise('an empty object and an overwritten object are what was last written', async () => {
    const Bucket = await freshBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'first' }));
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: '' }));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'k' }));
    expect(await got.Body?.transformToString()).toBe('');
    expect(got.ContentLength).toBe(0);
  });

  promise('a missing key is NoSuchKey for GET, 404 for HEAD, and no error for DELETE', async () => {
    const Bucket = await freshBucket(s3);
    expect(await refusal(s3.send(new GetObjectCommand({ Bucket, Key: 'k' })))).toEqual({
      name: 'NoSuchKey',
      status: 404,
    });
    expect((await refusal(s3.send(new HeadObjectCommand({ Bucket, Key: 'k' })))).status).toBe(404);
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k' }));
  });

  promise('a streamed body of 24 MiB arrives with its trailing checksum', async () => {
    const Bucket = await freshBucket(s3);
    const pieces = Array.from({ length: 24 }, () => randomBytes(1024 ** 2));
    const whole = Buffer.concat(pieces);
    const put = await s3.send(
      new PutObjectCommand({ Bucket, Key: 'big', Body: Readable.from(pieces), ContentLength: whole.length }),
    );
    expect(put.ChecksumCRC32).toBe(crc(whole));
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'big' }));
    expect(got.ContentEncoding).toBeUndefined();
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(whole)).toBe(true);
  });

  promise('ranges give 206 with the right bytes, or 416', async () => {
    const Bucket = await freshBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: '0123456789' }));
    const range = async (Range: string): Promise<[string | undefined, string | undefined]> => {
      const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'k', Range }));
      expect(got.$metadata.httpStatusCode).toBe(206);
      return [await got.Body?.transformToString(), got.ContentRange];
    };
    expect(await range('bytes=2-4')).toEqual(['234', 'bytes 2-4/10']);
    expect(await range('bytes=7-')).toEqual(['789', 'bytes 7-9/10']);
    expect(await range('bytes=-2')).toEqual(['89', 'bytes 8-9/10']);
    expect(await range('bytes=5-100')).toEqual(['56789', 'bytes 5-9/10']);
    const beyond = await refusal(s3.send(new GetObjectCommand({ Bucket, Key: 'k', Range: 'bytes=10-' })));
    expect(beyond).toEqual({ name: 'InvalidRange', status: 416 });
  });

  promise('conditional reads answer 304 and 412', async () => {
    const Bucket = await freshBucket(s3);
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
    const status = async (condition: object): Promise<number | undefined> =>
      (await refusal(s3.send(new GetObjectCommand({ Bucket, Key: 'k', ...condition })))).status;
    expect(await status({ IfNoneMatch: ETag })).toBe(304);
    expect(await status({ IfMatch: '"0"' })).toBe(412);
    expect(await status({ IfModifiedSince: new Date(Date.now() + 60_000) })).toBe(304);
    expect(await status({ IfUnmodifiedSince: new Date(Date.now() - 3_600_000) })).toBe(412);
    await s3.send(new GetObjectCommand({ Bucket, Key: 'k', IfMatch: ETag }));
  });

  promise('tags are set, read and given with the object', async () => {
    const Bucket = await freshBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', Tagging: 'kind=wal&day=a%20b' }));
    const read = async (): Promise<unknown> =>
      (await s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'k' }))).TagSet;
    expect(await read()).toEqual(
      expect.arrayContaining([
        { Key: 'kind', Value: 'wal' },
        { Key: 'day', Value: 'a b' },
      ]),
    );
    const TagSet = [{ Key: 'kept', Value: 'yes = no' }];
    await s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'k', Tagging: { TagSet } }));
    expect(await read()).toEqual(TagSet);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'k' }));
    expect(await got.Body?.transformToString()).toBe('x');
    expect(got.TagCount).toBe(1);
  });

  promise('a copy has the bytes and metadata of its source, or replaced metadata', async () => {
    const Bucket = await freshBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'a b', Body: 'x', Metadata: { from: 'source' } }));
    await s3.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/a%20b` }));
    await s3.send(
      new CopyObjectCommand({
        Bucket,
        Key: 'other',
        CopySource: `${Bucket}/a%20b`,
        MetadataDirective: 'REPLACE',
        Metadata: { from: 'copy' },
      }),
    );
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'a b' }));
    const copy = await s3.send(new GetObjectCommand({ Bucket, Key: 'copy' }));
    expect([await copy.Body?.transformToString(), copy.Metadata]).toEqual(['x', { from: 'source' }]);
    expect((await s3.send(new HeadObjectCommand({ Bucket, Key: 'other' }))).Metadata).toEqual({
      from: 'copy',
    });
  });

  promise('many objects are deleted in one request', async () => {
    const Bucket = await freshBucket(s3);
    for (const Key of ['a', 'b&<c>', 'd']) await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    const Objects = [{ Key: 'a' }, { Key: 'b&<c>' }, { Key: 'never-was' }];
    const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(Deleted?.map((entry) => entry.Key)).toEqual(['a', 'b&<c>', 'never-was']);
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(Contents?.map((object) => object.Key)).toEqual(['d']);
  });
});

describe('S3 conditional writes', () => {
  promise('If-None-Match refuses to overwrite', async () => {
    const Bucket = await freshBucket(s3);
    const put = (Body: string): Promise<unknown> =>
      s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body, IfNoneMatch: '*' }));
    await put('first');
    expect(await refusal(put('second'))).toEqual({ name: 'PreconditionFailed', status: 412 });
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'k' }));
    expect(await got.Body?.transformToString()).toBe('first');
  });

  promise('If-None-Match refuses a large body before or after it is sent', async () => {
    const Bucket = await freshBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'first' }));
    const Body = Buffer.alloc(16 * 1024 ** 2);
    const call = s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body, IfNoneMatch: '*' }));
    expect(await refusal(call)).toEqual({ name: 'PreconditionFailed', status: 412 });
  });

  promise('of many writers with If-None-Match exactly one wins', async () => {
    const Bucket = await freshBucket(s3);
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, writer) =>
        s3.send(
          new PutObjectCommand({ Bucket, Key: 'k', Body: Buffer.alloc(300_000, writer), IfNoneMatch: '*' }),
        ),
      ),
    );
    const won = results.flatMap((result, writer) => (result.status === 'fulfilled' ? [writer] : []));
    expect(won).toHaveLength(1);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'k' }));
    expect((await got.Body?.transformToByteArray())?.every((byte) => byte === won[0])).toBe(true);
  });

  promise('If-Match writes only over the version that was read', async () => {
    const Bucket = await freshBucket(s3);
    const put = (Body: string, IfMatch?: string): Promise<PutObjectCommandOutput> =>
      s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body, ...(IfMatch && { IfMatch }) }));
    const { ETag } = await put('first');
    await put('second', ETag);
    expect(await refusal(put('third', ETag))).toEqual({ name: 'PreconditionFailed', status: 412 });
    const absent = s3.send(new PutObjectCommand({ Bucket, Key: 'none', Body: 'x', IfMatch: ETag as string }));
    expect((await refusal(absent)).status).toBe(404);
  });

  promise('completing an upload obeys If-None-Match', async () => {
    const Bucket = await freshBucket(s3);
    const Key = 'k';
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const part = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'late' }));
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'early' }));
    const complete = s3.send(
      new CompleteMultipartUploadCommand({
        Bucket,
        Key,
        UploadId,
        IfNoneMatch: '*',
        MultipartUpload: {
          Parts: [
            {
              PartNumber: 1,
              ETag: part.ETag,
              ...(part.ChecksumCRC32 && { ChecksumCRC32: part.ChecksumCRC32 }),
            },
          ],
        },
      }),
    );
    expect(await refusal(complete)).toEqual({ name: 'PreconditionFailed', status: 412 });
    const got = await s3.send(new GetObjectCommand({ Bucket, Key }));
    expect(await got.Body?.transformToString()).toBe('early');
  });
});

describe('S3 checksums', () => {
  promise('every checksum is verified, kept and given back', async () => {
    const Bucket = await freshBucket(s3);
    // The check values of the algorithms' definitions, over '123456789'.
    const known = {
      ChecksumCRC32: 'y/Q5Jg==',
      ChecksumCRC32C: '4waSgw==',
      ChecksumCRC64NVME: 'rosUhgp5mIg=',
      ChecksumSHA1: '98O8HYCOBHMqeSnzRR1e/AwVJ+E='.length
        ? createHash('sha1').update('123456789').digest('base64')
        : '',
      ChecksumSHA256: sha256('123456789'),
    };
    for (const [name, value] of Object.entries(known)) {
      const Key = name;
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: '123456789', [name]: value }));
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
      expect(head).toMatchObject({ [name]: value });
      expect(await s3.send(new HeadObjectCommand({ Bucket, Key }))).not.toHaveProperty(name);
    }
  });

  promise('a wrong checksum is refused with BadDigest and nothing is written', async () => {
    const Bucket = await freshBucket(s3);
    for (const wrong of [
      { ChecksumSHA256: sha256('other') },
      { ChecksumCRC32: crc('other') },
      { ContentMD5: createHash('md5').update('other').digest('base64') },
    ]) {
      const call = s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'this', ...wrong }));
      expect(await refusal(call)).toEqual({ name: 'BadDigest', status: 400 });
    }
    expect((await refusal(s3.send(new HeadObjectCommand({ Bucket, Key: 'k' })))).status).toBe(404);
  });
});

describe('S3 multipart uploads', () => {
  const MIB = 1024 ** 2;

  async function upload(
    Bucket: string,
    Key: string,
    bodies: Buffer[],
    create: Partial<CreateMultipartUploadCommandInput> = {},
  ) {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...create }));
    const Parts = [];
    for (const [index, Body] of bodies.entries()) {
      const PartNumber = index + 1;
      const part = await s3.send(
        new UploadPartCommand({
          Bucket,
          Key,
          UploadId,
          PartNumber,
          Body,
          ...('ChecksumAlgorithm' in create && create),
        }),
      );
      const { $metadata: _, ...sums } = part;
      Parts.push({ PartNumber, ...sums });
    }
    return { UploadId, Parts };
  }

  promise('parts become one object with a composite ETag and checksum', async () => {
    const Bucket = await freshBucket(s3);
    const Key = 'base.tar';
    const bodies = [randomBytes(5 * MIB), randomBytes(5 * MIB + 7), randomBytes(1000)];
    const { UploadId, Parts } = await upload(Bucket, Key, bodies, { ChecksumAlgorithm: 'SHA256' });
    const listed = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    expect(listed.Parts?.map((part) => [part.PartNumber, part.Size])).toEqual(
      bodies.map((body, index) => [index + 1, body.length]),
    );
    const uploads = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
    expect(uploads.Uploads?.map((each) => each.UploadId)).toEqual([UploadId]);
    const done = await s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    );
    const md5 = createHash('md5');
    const sum = createHash('sha256');
    for (const body of bodies) {
      md5.update(createHash('md5').update(body).digest());
      sum.update(createHash('sha256').update(body).digest());
    }
    expect(done.ETag).toBe(`"${md5.digest('hex')}-3"`);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
    expect(head.ChecksumSHA256).toBe(`${sum.digest('base64')}-3`);
    expect(head.ContentLength).toBe(10 * MIB + 1007);
    const across = await s3.send(
      new GetObjectCommand({ Bucket, Key, Range: `bytes=${5 * MIB - 3}-${10 * MIB + 8}` }),
    );
    const whole = Buffer.concat(bodies);
    expect(
      Buffer.from((await across.Body?.transformToByteArray()) ?? []).equals(
        whole.subarray(5 * MIB - 3, 10 * MIB + 9),
      ),
    ).toBe(true);
    expect((await s3.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? []).toEqual([]);
    expect((await refusal(s3.send(new ListPartsCommand({ Bucket, Key, UploadId })))).name).toBe(
      'NoSuchUpload',
    );
  });

  promise('a full-object checksum of parts is that of the whole', async () => {
    const Bucket = await freshBucket(s3);
    const Key = 'k';
    const bodies = [randomBytes(5 * MIB), randomBytes(12_345)];
    const { UploadId, Parts } = await upload(Bucket, Key, bodies, {
      ChecksumAlgorithm: 'CRC32',
      ChecksumType: 'FULL_OBJECT',
    });
    const done = await s3.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }),
    );
    expect(done).toMatchObject({ ChecksumCRC32: crc(Buffer.concat(bodies)), ChecksumType: 'FULL_OBJECT' });
  });

  promise('an aborted upload is gone, and leaves no object', async () => {
    const Bucket = await freshBucket(s3);
    const Key = 'k';
    const { UploadId, Parts } = await upload(Bucket, Key, [Buffer.from('x')]);
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    const complete = new CompleteMultipartUploadCommand({
      Bucket,
      Key,
      UploadId,
      MultipartUpload: { Parts },
    });
    expect(await refusal(s3.send(complete))).toEqual({ name: 'NoSuchUpload', status: 404 });
    expect((await refusal(s3.send(new HeadObjectCommand({ Bucket, Key })))).status).toBe(404);
  });

  promise('wrong parts, wrong order and parts too small are refused', async () => {
    const Bucket = await freshBucket(s3);
    const Key = 'k';
    const { UploadId, Parts } = await upload(Bucket, Key, [Buffer.from('a'), Buffer.from('b')]);
    const complete = async (parts: typeof Parts): Promise<string> => {
      const MultipartUpload = { Parts: parts };
      return (
        await refusal(s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload })))
      ).name;
    };
    expect(await complete(Parts)).toBe('EntityTooSmall');
    expect(await complete([...Parts].reverse())).toBe('InvalidPartOrder');
    expect(await complete(Parts.slice(0, 1).map((part) => ({ ...part, ETag: `"${'0'.repeat(32)}"` })))).toBe(
      'InvalidPart',
    );
  });
});

describe('S3 listing', () => {
  promise('keys come in order, by prefix and delimiter, page by page', async () => {
    const Bucket = await freshBucket(s3);
    const keys = ['a/1', 'a/2', 'a/b/3', 'a&<>/x', 'b', 'c/1', 'c/2', 'ä', '\ufb01', '\u{1f600}'];
    for (const Key of [...keys].reverse()) await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const sorted = [...keys].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
    const list = (options: object) => s3.send(new ListObjectsV2Command({ Bucket, ...options }));

    const all = await list({});
    expect(all.Contents?.map((object) => object.Key)).toEqual(sorted);
    expect(all).toMatchObject({ IsTruncated: false, KeyCount: keys.length });
    expect(all.Contents?.find((object) => object.Key === 'b')).toMatchObject({
      Size: 1,
      StorageClass: 'STANDARD',
    });

    const paged: (string | undefined)[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await list({ MaxKeys: 3, ContinuationToken });
      paged.push(...(page.Contents ?? []).map((object) => object.Key));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken);
    expect(paged).toEqual(sorted);

    const groups = await list({ Delimiter: '/' });
    expect(groups.CommonPrefixes?.map((group) => group.Prefix)).toEqual(['a&<>/', 'a/', 'c/']);
    expect(groups.Contents?.map((object) => object.Key)).toEqual(['b', 'ä', '\ufb01', '\u{1f600}']);
    const inside = await list({ Prefix: 'a/', Delimiter: '/' });
    expect(inside.Contents?.map((object) => object.Key)).toEqual(['a/1', 'a/2']);
    expect(inside.CommonPrefixes?.map((group) => group.Prefix)).toEqual(['a/b/']);

    const grouped: (string | undefined)[] = [];
    do {
      const page = await list({ Delimiter: '/', MaxKeys: 1, ContinuationToken });
      grouped.push(...(page.CommonPrefixes ?? []).map((group) => group.Prefix));
      grouped.push(...(page.Contents ?? []).map((object) => object.Key));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken);
    expect(grouped).toEqual(['a&<>/', 'a/', 'b', 'c/', 'ä', '\ufb01', '\u{1f600}']);

    const after = await list({ StartAfter: 'a/2', Prefix: 'a/' });
    expect(after.Contents?.map((object) => object.Key)).toEqual(['a/b/3']);
    expect((await list({ Prefix: 'nothing' })).KeyCount).toBe(0);
  });
});

describe('S3 signatures', () => {
  promise('a presigned GET and PUT work with no other credentials', async () => {
    const Bucket = await freshBucket(s3);
    const put = await fetch(await presign('PUT', `/${Bucket}/a%20b`, {}), { method: 'PUT', body: 'signed' });
    expect(put.status).toBe(200);
    const get = await fetch(await presign('GET', `/${Bucket}/a%20b`, {}));
    expect([get.status, await get.text()]).toEqual([200, 'signed']);
  });

  promise('a presigned PUT binds its condition and its checksum', async () => {
    const Bucket = await freshBucket(s3);
    const headers = { 'if-none-match': '*', 'x-amz-checksum-sha256': sha256('right') };
    const url = await presign('PUT', `/${Bucket}/k`, { headers });
    const put = async (body: string, sent: Record<string, string>): Promise<[number, string | undefined]> => {
      const answer = await fetch(url, { method: 'PUT', body, headers: sent });
      return [answer.status, /<Code>(.*)<\/Code>/.exec(await answer.text())?.[1]];
    };
    expect(await put('wrong', headers)).toEqual([400, 'BadDigest']);
    expect(await put('right', { 'x-amz-checksum-sha256': sha256('right') })).toEqual([
      403,
      'SignatureDoesNotMatch',
    ]);
    expect(await put('other', { ...headers, 'x-amz-checksum-sha256': sha256('other') })).toEqual([
      403,
      'SignatureDoesNotMatch',
    ]);
    expect(await put('right', headers)).toEqual([200, undefined]);
    expect(await put('right', headers)).toEqual([412, 'PreconditionFailed']);
  });

  promise('an expired, altered or missing signature is refused', async () => {
    const Bucket = await freshBucket(s3);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }));
    const code = async (url: string): Promise<[number, string | undefined]> => {
      const answer = await fetch(url);
      return [answer.status, /<Code>(.*)<\/Code>/.exec(await answer.text())?.[1]];
    };
    const at = new Date(Date.now() - 120_000);
    expect(await code(await presign('GET', `/${Bucket}/k`, { expiresIn: 60, at }))).toEqual([
      403,
      'AccessDenied',
    ]);
    const good = await presign('GET', `/${Bucket}/k`, {});
    expect(await code(good.replace(`/${Bucket}/k`, `/${Bucket}/other`))).toEqual([
      403,
      'SignatureDoesNotMatch',
    ]);
    expect(await code(`${endpoint}/${Bucket}/k`)).toEqual([403, 'AccessDenied']);
    const wrongSecret = s3Client(endpoint, { credentials: { ...KEYS, secretAccessKey: 'wrong' } });
    expect(await refusal(wrongSecret.send(new GetObjectCommand({ Bucket, Key: 'k' })))).toEqual({
      name: 'SignatureDoesNotMatch',
      status: 403,
    });
    const wrongKey = s3Client(endpoint, { credentials: { ...KEYS, accessKeyId: 'AKIDSOMEBODYELSE' } });
    expect((await refusal(wrongKey.send(new GetObjectCommand({ Bucket, Key: 'k' })))).name).toBe(
      'InvalidAccessKeyId',
    );
  });
});

let queues = 0;

async function freshQueue(Attributes: Record<string, string> = {}): Promise<string> {
  const QueueName = `contract-${process.pid}-${Date.now().toString(36)}-${++queues}`;
  return (await sqs.send(new CreateQueueCommand({ QueueName, Attributes }))).QueueUrl as string;
}

async function arnOf(QueueUrl: string): Promise<string> {
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  return Attributes?.QueueArn as string;
}

async function receive(QueueUrl: string, options: object = {}): Promise<Message[]> {
  const input = {
    QueueUrl,
    MaxNumberOfMessages: 10,
    MessageSystemAttributeNames: ['All' as const],
    ...options,
  };
  return (await sqs.send(new ReceiveMessageCommand(input))).Messages ?? [];
}

describe('SQS', () => {
  promise('a queue is created once, found, described, changed, listed and deleted', async () => {
    const QueueUrl = await freshQueue({ VisibilityTimeout: '7' });
    const QueueName = QueueUrl.split('/').at(-1) as string;
    const again = await sqs.send(
      new CreateQueueCommand({ QueueName, Attributes: { VisibilityTimeout: '7' } }),
    );
    expect(again.QueueUrl).toBe(QueueUrl);
    const different = sqs.send(new CreateQueueCommand({ QueueName, Attributes: { VisibilityTimeout: '8' } }));
    expect((await refusal(different)).name).toMatch(/QueueNameExists|QueueAlreadyExists/);
    expect((await sqs.send(new GetQueueUrlCommand({ QueueName }))).QueueUrl).toBe(QueueUrl);
    await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { VisibilityTimeout: '9' } }));
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
    );
    expect(Attributes).toMatchObject({
      VisibilityTimeout: '9',
      DelaySeconds: '0',
      ApproximateNumberOfMessages: '0',
    });
    const { QueueUrls } = await sqs.send(new ListQueuesCommand({ QueueNamePrefix: QueueName }));
    expect(QueueUrls).toEqual([QueueUrl]);
    await sqs.send(new DeleteQueueCommand({ QueueUrl }));
    expect((await refusal(sqs.send(new GetQueueUrlCommand({ QueueName })))).name).toMatch(
      /QueueDoesNotExist|NonExistentQueue/,
    );
  });

  promise('a message comes with its attributes and is gone after its deletion', async () => {
    const QueueUrl = await freshQueue();
    const MessageBody = '{"v":1,"text":"zażółć 😀 <&>"}';
    const MessageAttributes = {
      job: { DataType: 'String', StringValue: 'tick' },
      n: { DataType: 'Number', StringValue: '3' },
      raw: { DataType: 'Binary', BinaryValue: Buffer.from([0, 255, 1]) },
    };
    const sent = await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody, MessageAttributes }));
    const [message] = await receive(QueueUrl, { MessageAttributeNames: ['All'] });
    expect(message).toMatchObject({
      Body: MessageBody,
      MessageId: sent.MessageId,
      MD5OfBody: createHash('md5').update(MessageBody).digest('hex'),
      MD5OfMessageAttributes: sent.MD5OfMessageAttributes,
      Attributes: { ApproximateReceiveCount: '1' },
      MessageAttributes: { job: { StringValue: 'tick', DataType: 'String' } },
    });
    expect(Buffer.from(message?.MessageAttributes?.raw?.BinaryValue ?? [])).toEqual(Buffer.from([0, 255, 1]));
    expect(Math.abs(Number(message?.Attributes?.SentTimestamp) - Date.now())).toBeLessThan(60_000);
    await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message?.ReceiptHandle }));
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
    );
    expect(Attributes).toMatchObject({
      ApproximateNumberOfMessages: '0',
      ApproximateNumberOfMessagesNotVisible: '0',
    });
  });

  promise('a received message is hidden, comes back, and its old receipt no longer deletes it', async () => {
    const QueueUrl = await freshQueue({ VisibilityTimeout: '1' });
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' }));
    const before = Date.now();
    const [first] = await receive(QueueUrl);
    const [second] = await receive(QueueUrl, { WaitTimeSeconds: 10, VisibilityTimeout: 3600 });
    expect(Date.now() - before).toBeGreaterThan(900);
    expect(second?.MessageId).toBe(first?.MessageId);
    expect(second?.Attributes?.ApproximateReceiveCount).toBe('2');
    expect(second?.ReceiptHandle).not.toBe(first?.ReceiptHandle);
    await sqs
      .send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: first?.ReceiptHandle }))
      .catch(() => undefined);
    await sqs.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl,
        ReceiptHandle: second?.ReceiptHandle,
        VisibilityTimeout: 0,
      }),
    );
    expect(await receive(QueueUrl, { WaitTimeSeconds: 5 })).toHaveLength(1);
  });

  promise('a delayed message is not delivered early', async () => {
    const QueueUrl = await freshQueue();
    const before = Date.now();
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x', DelaySeconds: 1 }));
    expect(await receive(QueueUrl, { WaitTimeSeconds: 10 })).toHaveLength(1);
    expect(Date.now() - before).toBeGreaterThan(900);
  });

  promise('a long poll ends when a message comes', async () => {
    const QueueUrl = await freshQueue();
    const waiting = receive(QueueUrl, { WaitTimeSeconds: 20 });
    await sleep(100);
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' }));
    expect(await waiting).toHaveLength(1);
  });

  promise('a message received too often goes to the dead-letter queue', async () => {
    const dead = await freshQueue();
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: await arnOf(dead), maxReceiveCount: 2 });
    const QueueUrl = await freshQueue({ RedrivePolicy });
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'poison' }));
    expect(await receive(QueueUrl, { VisibilityTimeout: 0 })).toHaveLength(1);
    expect(await receive(QueueUrl, { VisibilityTimeout: 0, WaitTimeSeconds: 2 })).toHaveLength(1);
    expect(await receive(QueueUrl)).toEqual([]);
    const [message] = await receive(dead, { WaitTimeSeconds: 2 });
    expect(message?.Body).toBe('poison');
  });

  promise('batches are answered entry by entry', async () => {
    const QueueUrl = await freshQueue();
    const Entries = Array.from({ length: 10 }, (_, at) => ({ Id: `m${at}`, MessageBody: `body ${at}` }));
    const sent = await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
    expect(sent.Successful).toHaveLength(10);
    const messages = await receive(QueueUrl);
    expect(messages.map((message) => message.Body).sort()).toEqual(
      Entries.map((entry) => entry.MessageBody).sort(),
    );
    const handles = messages.map((message, at) => ({
      Id: `d${at}`,
      ReceiptHandle: message.ReceiptHandle as string,
    }));
    const deleted = await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries: handles }));
    expect(deleted.Successful).toHaveLength(10);
    expect((await refusal(sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries: [] })))).name).toMatch(
      /EmptyBatch/,
    );
    const twice = [Entries[0], Entries[0]] as typeof Entries;
    expect((await refusal(sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries: twice })))).name).toMatch(
      /NotDistinct/,
    );
  });

  promise('purging empties a queue', async () => {
    const QueueUrl = await freshQueue();
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' }));
    await sqs.send(new PurgeQueueCommand({ QueueUrl }));
    expect(await receive(QueueUrl)).toEqual([]);
  });
});

describe('S3 events', () => {
  promise('an object that is created tells the queue', async () => {
    const Bucket = await freshBucket(s3);
    const QueueUrl = await freshQueue();
    await s3.send(
      new PutBucketNotificationConfigurationCommand({
        Bucket,
        NotificationConfiguration: {
          QueueConfigurations: [
            {
              QueueArn: await arnOf(QueueUrl),
              Events: ['s3:ObjectCreated:*'],
              Filter: { Key: { FilterRules: [{ Name: 'prefix', Value: 'inbox/' }] } },
            },
          ],
        },
      }),
    );
    await s3.send(new PutObjectCommand({ Bucket, Key: 'elsewhere/x', Body: 'no' }));
    await s3.send(new PutObjectCommand({ Bucket, Key: 'inbox/a b', Body: 'yes!' }));
    const bodies: { Event?: string; Records?: object[] }[] = [];
    while (!bodies.some((body) => body.Records)) {
      const messages = await receive(QueueUrl, { WaitTimeSeconds: 5 });
      expect(messages.length).toBeGreaterThan(0);
      bodies.push(...messages.map((message) => JSON.parse(message.Body as string)));
    }
    const records = bodies.flatMap((body) => body.Records ?? []);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      eventSource: 'aws:s3',
      eventName: 'ObjectCreated:Put',
      s3: { bucket: { name: Bucket }, object: { key: 'inbox/a+b', size: 4 } },
    });
  });
});

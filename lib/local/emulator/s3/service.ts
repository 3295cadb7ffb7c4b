import { mkdirSync, readdirSync } from 'node:fs';
import { type Answer, header, parameter, REGION, type Request, ServiceError } from '../wire.ts';
import { type Element, renderXml } from '../xml.ts';
import { listObjectsV2 } from './listing.ts';
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadPart,
} from './multipart.ts';
import { getBucketNotification, notifyBucket, putBucketNotification } from './notifications.ts';
import { copyObject, deleteObject, deleteObjects, getObject, putObject, xmlAnswer } from './objects.ts';
import { Bucket } from './store.ts';
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './tagging.ts';
import type { Deliver, Target } from './target.ts';

/** A request whose operation and subject are known, ready to be run. */
export interface Operation {
  /** AWS's name of it. */
  readonly name: string;
  /** The key, or the bucket where there is none. */
  readonly resource: string;
  run(): Promise<Answer>;
}

/** Object operations by method, or by method and the sub-resource that selects them. */
const OBJECT_OPERATIONS: Readonly<Record<string, readonly [string, (target: Target) => Promise<Answer>]>> = {
  GET: ['GetObject', getObject],
  HEAD: ['HeadObject', getObject],
  PUT: ['PutObject', putObject],
  DELETE: ['DeleteObject', deleteObject],
  'PUT copy': ['CopyObject', copyObject],
  'PUT tagging': ['PutObjectTagging', putObjectTagging],
  'GET tagging': ['GetObjectTagging', getObjectTagging],
  'DELETE tagging': ['DeleteObjectTagging', deleteObjectTagging],
  'POST uploads': ['CreateMultipartUpload', createMultipartUpload],
  'PUT uploadId': ['UploadPart', uploadPart],
  'POST uploadId': ['CompleteMultipartUpload', completeMultipartUpload],
  'DELETE uploadId': ['AbortMultipartUpload', abortMultipartUpload],
  'GET uploadId': ['ListParts', listParts],
};

const BUCKET_OPERATIONS: Readonly<Record<string, readonly [string, (target: Target) => Promise<Answer>]>> = {
  'GET list-type': ['ListObjectsV2', listObjectsV2],
  'GET uploads': ['ListMultipartUploads', listMultipartUploads],
  'POST delete': ['DeleteObjects', deleteObjects],
  'PUT notification': ['PutBucketNotificationConfiguration', putBucketNotification],
  'GET notification': ['GetBucketNotificationConfiguration', getBucketNotification],
  'GET location': ['GetBucketLocation', async () => xmlAnswer(renderXml(['LocationConstraint', '']))],
  'GET versioning': [
    'GetBucketVersioning',
    async () => xmlAnswer(renderXml(['VersioningConfiguration', ''])),
  ],
  HEAD: ['HeadBucket', async () => ({ status: 200, headers: { 'x-amz-bucket-region': REGION } })],
};

/**
 * Query parameters that do not choose an operation. Any other one is a sub-resource; an unknown sub-resource is
 * refused, never taken for the object itself.
 */
const PLAIN_PARAMETERS =
  /^(x-amz-.*|x-id|response-.*|partNumber|prefix|delimiter|max-(keys|parts|uploads)|continuation-token|start-after|encoding-type|fetch-owner|(part-number|key|upload-id)-marker)$/i;

/** S3 over a directory that holds one subdirectory for each bucket. */
export class S3Service {
  private readonly root: string;
  private readonly buckets = new Map<string, Bucket>();
  private readonly deliver: Deliver;

  constructor(root: string, deliver: Deliver) {
    this.root = root;
    this.deliver = deliver;
    mkdirSync(root, { recursive: true });
    for (const entry of readdirSync(root, { withFileTypes: true })) {
      if (entry.isDirectory()) this.buckets.set(entry.name, Bucket.load(root, entry.name));
    }
  }

  /** Finds out what a request asks for; throws NotImplemented where that is not emulated. */
  resolve(request: Request): Operation {
    const path = decodeURIComponent(request.path.slice(1));
    const slash = path.indexOf('/');
    const name = slash < 0 ? path : path.slice(0, slash);
    const key = slash < 0 ? '' : path.slice(slash + 1);
    const selectors = request.query
      .map(([parameterName]) => parameterName)
      .filter((each) => !PLAIN_PARAMETERS.test(each));
    if (selectors.length === 0 && request.method === 'PUT' && header(request, 'x-amz-copy-source'))
      selectors.push('copy');
    const route = [request.method, ...selectors].join(' ');
    if (name === '') {
      if (route === 'GET') return { name: 'ListBuckets', resource: '', run: () => this.listBuckets() };
      throw notImplemented(route);
    }
    if (key === '' && route === 'PUT') {
      return { name: 'CreateBucket', resource: name, run: () => this.createBucket(name, request) };
    }
    if (key === '' && route === 'DELETE') {
      return { name: 'DeleteBucket', resource: name, run: () => this.deleteBucket(name) };
    }
    const found = (key === '' ? BUCKET_OPERATIONS : OBJECT_OPERATIONS)[route];
    if (!found) throw notImplemented(route);
    const [operation, handler] = found;
    return {
      name: operation,
      resource: key || name,
      run: async () => {
        if (Buffer.byteLength(key) > 1024)
          throw new ServiceError(400, 'KeyTooLongError', 'Your key is too long');
        if (operation === 'UploadPart' && header(request, 'x-amz-copy-source'))
          throw notImplemented('UploadPartCopy');
        if (operation === 'GetObject' && parameter(request, 'partNumber'))
          throw notImplemented('GetObject of one part');
        const bucket = this.requireBucket(name);
        return handler({
          bucket,
          key,
          request,
          buckets: this.buckets,
          deliver: this.deliver,
          notify: (event, object) => notifyBucket(bucket, event, object, this.deliver),
        });
      },
    };
  }

  private requireBucket(name: string): Bucket {
    const bucket = this.buckets.get(name);
    if (!bucket) throw new ServiceError(404, 'NoSuchBucket', 'The specified bucket does not exist');
    return bucket;
  }

  private async listBuckets(): Promise<Answer> {
    const buckets = [...this.buckets.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
    return xmlAnswer(
      renderXml([
        'ListAllMyBucketsResult',
        [
          [
            'Buckets',
            buckets.map(
              (bucket): Element => [
                'Bucket',
                [
                  ['Name', bucket.name],
                  ['CreationDate', new Date(bucket.created).toISOString()],
                ],
              ],
            ),
          ],
        ],
      ]),
    );
  }

  private async createBucket(name: string, request: Request): Promise<Answer> {
    request.body().resume();
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) {
      throw new ServiceError(400, 'InvalidBucketName', 'The specified bucket is not valid.');
    }
    // In us-east-1 creating one's own bucket again is a success, as it is here.
    if (!this.buckets.has(name)) this.buckets.set(name, Bucket.create(this.root, name));
    return { status: 200, headers: { location: `/${name}` } };
  }

  private async deleteBucket(name: string): Promise<Answer> {
    const bucket = this.requireBucket(name);
    if (bucket.objects.size > 0 || bucket.uploads.size > 0) {
      throw new ServiceError(409, 'BucketNotEmpty', 'The bucket you tried to delete is not empty');
    }
    bucket.destroy();
    this.buckets.delete(name);
    return { status: 204 };
  }
}

function notImplemented(what: string): ServiceError {
  return new ServiceError(501, 'NotImplemented', `the emulator does not implement ${what}`);
}

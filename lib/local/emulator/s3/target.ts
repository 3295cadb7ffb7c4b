import type { Request } from '../wire.ts';
import type { Bucket, StoredObject } from './store.ts';

/** Puts a message into the queue of this ARN; false where there is no such queue. */
export type Deliver = (queueArn: string, body: string) => boolean;

/** What an operation on a bucket works with. */
export interface BucketTarget {
  readonly bucket: Bucket;
  readonly buckets: ReadonlyMap<string, Bucket>;
  readonly request: Request;
  readonly deliver: Deliver;
}

/** What an operation on an object works with. */
export interface Target extends BucketTarget {
  readonly key: string;
  notify(event: string, object: StoredObject): void;
}

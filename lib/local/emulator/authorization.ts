import { header, type Request, ServiceError } from './wire.ts';

/**
 * Whether the bearer of a session token may do something.
 *
 * @param action as IAM names it, such as `s3:GetObject`
 * @param resource `BUCKET/KEY`, `BUCKET`, or the name of a queue
 */
export type Authorize = (sessionToken: string, action: string, resource: string) => boolean;

/** Operations whose IAM action has another name (Service Authorization Reference of Amazon S3 and Amazon SQS). */
const ACTIONS: Readonly<Record<string, string>> = {
  HeadObject: 'GetObject',
  CreateMultipartUpload: 'PutObject',
  UploadPart: 'PutObject',
  CompleteMultipartUpload: 'PutObject',
  HeadBucket: 'ListBucket',
  ListObjectsV2: 'ListBucket',
  SendMessageBatch: 'SendMessage',
  DeleteMessageBatch: 'DeleteMessage',
  ChangeMessageVisibilityBatch: 'ChangeMessageVisibility',
};

/**
 * Does the work of a request as IAM would let it: a bearer without the right is refused, and one that may not list a bucket
 * is not told that a key is missing. Whoever shows no session token is the account itself, which may do everything.
 *
 * @throws ServiceError 403 AccessDenied
 */
export async function authorized<T>(
  authorize: Authorize | undefined,
  request: Request,
  call: { service: 's3' | 'sqs'; operation: string; resource: string; run(): Promise<T> },
): Promise<T> {
  const token = header(request, 'x-amz-security-token');
  if (authorize === undefined || token === undefined) return call.run();
  const { service, operation, resource } = call;
  const denied = new ServiceError(
    403,
    service === 's3' ? 'AccessDenied' : 'AccessDeniedException',
    'Access Denied',
  );
  if (!authorize(token, `${service}:${ACTIONS[operation] ?? operation}`, resource)) throw denied;
  try {
    return await call.run();
  } catch (error) {
    const missing = error instanceof ServiceError && error.code === 'NoSuchKey';
    if (missing && !authorize(token, 's3:ListBucket', resource.split('/')[0]!)) throw denied;
    throw error;
  }
}

import { type Request, ServiceError } from '../wire.ts';
import type { StoredObject } from './store.ts';

/**
 * Refuses a write whose If-Match or If-None-Match does not hold for the object as it is now.
 *
 * @throws ServiceError 412 PreconditionFailed, 404 NoSuchKey (If-Match without an object), 501 for other forms
 */
export function requireWritable(request: Request, current: StoredObject | undefined): void {
  const { 'if-match': match, 'if-none-match': noneMatch } = request.headers;
  if (noneMatch !== undefined) {
    if (noneMatch !== '*') {
      throw new ServiceError(501, 'NotImplemented', 'If-None-Match of a write supports only the value *');
    }
    if (current) throw preconditionFailed();
  }
  if (match !== undefined) {
    if (!current) throw new ServiceError(404, 'NoSuchKey', 'The specified key does not exist.');
    if (match !== '*' && !names(match, current.etag)) throw preconditionFailed();
  }
}

/**
 * Evaluates the four conditions of a read in the order of RFC 9110.
 *
 * @param prefix `x-amz-copy-source-` for the source of a copy, where 304 becomes 412
 */
export function requireReadable(request: Request, object: StoredObject, prefix = ''): void {
  const condition = (name: string): string | undefined =>
    request.headers[`${prefix}${name}`] as string | undefined;
  const modified = Math.floor(object.modified / 1000) * 1000;
  const notModified = (): ServiceError =>
    prefix
      ? preconditionFailed()
      : new ServiceError(304, 'NotModified', 'Not Modified', { etag: `"${object.etag}"` });

  const match = condition('if-match');
  const unmodifiedSince = condition('if-unmodified-since');
  if (match !== undefined) {
    if (match !== '*' && !names(match, object.etag)) throw preconditionFailed();
  } else if (unmodifiedSince !== undefined && modified > Date.parse(unmodifiedSince)) {
    throw preconditionFailed();
  }
  const noneMatch = condition('if-none-match');
  const modifiedSince = condition('if-modified-since');
  if (noneMatch !== undefined) {
    if (noneMatch === '*' || names(noneMatch, object.etag)) throw notModified();
  } else if (modifiedSince !== undefined && modified <= Date.parse(modifiedSince)) {
    throw notModified();
  }
}

function names(list: string, etag: string): boolean {
  return list.split(',').some((item) => item.trim().replace(/^W\//, '').replaceAll('"', '') === etag);
}

function preconditionFailed(): ServiceError {
  return new ServiceError(
    412,
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
  );
}

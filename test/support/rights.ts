import { type FunctionSpec, functions } from '../../infra/functions.ts';
import type { JobKind } from '../../lib/jobs/messages.ts';

/** Without the right to list, a missing object answers 403 instead of 404. */
const READ = ['s3:GetObject', 's3:ListBucket'];

const ARCHIVE: Readonly<Record<NonNullable<FunctionSpec['archive']>, readonly string[]>> = {
  read: READ,
  write: [...READ, 's3:PutObject'],
  expire: [...READ, 's3:PutObject', 's3:AbortMultipartUpload', 's3:DeleteObject'],
};

const HINTS: Readonly<Record<FunctionSpec['hints'], readonly string[]>> = {
  none: [],
  read: READ,
  write: [...READ, 's3:PutObject'],
};

/** What a function may do in the bucket of the hints and in that of the archive, as infra/functions.ts means it. */
export function s3Rights(spec: FunctionSpec): Record<'hints' | 'archive', readonly string[]> {
  return { hints: HINTS[spec.hints], archive: spec.archive === undefined ? [] : ARCHIVE[spec.archive] };
}

/** The kinds of messages that come to a function. */
export const receives = (spec: FunctionSpec): JobKind[] =>
  spec.triggers.flatMap((trigger) => ('queue' in trigger ? [trigger.queue] : []));

/**
 * What the role of a function allows its code to do with a bucket of either kind or a queue (names as in the local runner).
 * The template test holds the roles to the same.
 */
export function mayDo(functionName: string, action: string, resource: string): boolean {
  const spec = functions.find(({ name }) => name === functionName);
  if (!spec) return false;
  if (action === 'sqs:SendMessage') return spec.sends.some((kind) => kind === resource);
  if (action.startsWith('sqs:'))
    return action === 'sqs:ChangeMessageVisibility' && receives(spec).some((kind) => kind === resource);
  const bucket = resource.split('/')[0];
  return (bucket === 'hints' || bucket === 'archive') && s3Rights(spec)[bucket].includes(action);
}

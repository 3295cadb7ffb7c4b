import type { LambdaFunctionURLEvent, LambdaFunctionURLResult } from 'aws-lambda';
import { bundledConfig } from '../lib/platform/config.ts';
import { logWarning } from '../lib/platform/logger.ts';
import { answerUpload } from '../lib/walmgr/upload/answer.ts';

/** A host asks to upload one WAL file; it gets a URL to put exactly that file, or learns that it is there already. */
export async function handler(event: LambdaFunctionURLEvent): Promise<LambdaFunctionURLResult> {
  const body = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8').toString('utf8');
  const answer = await answerUpload(
    bundledConfig(import.meta.url),
    body,
    event.headers['x-skytools-signature'] ?? '',
  );
  if (answer.problem) logWarning('upload refused', answer.problem);
  return { statusCode: answer.status, headers: { 'content-type': 'text/plain' }, body: answer.body };
}

import type { LambdaFunctionURLEvent, LambdaFunctionURLResult } from 'aws-lambda';
import { bundledConfig } from '../lib/platform/config.ts';
import { logError } from '../lib/platform/logger.ts';
import { answerDownload } from '../lib/walmgr/upload/answer.ts';

/** A recovering host asks for one WAL file; it gets a URL to read it from, or 404 if the archive has none. */
export async function handler(event: LambdaFunctionURLEvent): Promise<LambdaFunctionURLResult> {
  const body = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8').toString('utf8');
  const answer = await answerDownload(
    bundledConfig(import.meta.url),
    body,
    event.headers['x-skytools-signature'] ?? '',
  );
  if (answer.status >= 500 && answer.problem) logError('wal request failed', answer.problem);
  return { statusCode: answer.status, headers: { 'content-type': 'text/plain' }, body: answer.body };
}

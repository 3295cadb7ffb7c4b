import type { Context, SQSEvent } from 'aws-lambda';
import { jobHandler } from '../lib/jobs/worker.ts';
import { bundledConfig } from '../lib/platform/config.ts';
import { archiveJob } from '../lib/walmgr/jobs/archive.ts';
import { jobOfNotification } from '../lib/walmgr/upload/notification.ts';

const handleJobs = jobHandler('wal-archive', import.meta.url, archiveJob);

/** One pull of a cluster's WAL, or the registration of an uploaded file, of which S3 itself sends a notification. */
export async function handler(event: SQSEvent, context: Context) {
  const config = bundledConfig(import.meta.url);
  const records = event.Records.flatMap((record) => {
    const jobs = jobOfNotification(record.body, config);
    return jobs?.map((job) => ({ ...record, body: JSON.stringify(job) })) ?? [record];
  });
  return handleJobs({ Records: records }, context);
}

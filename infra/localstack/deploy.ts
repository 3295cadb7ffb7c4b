import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStackEventsCommand,
  paginateListStackResources,
  waitUntilStackCreateComplete,
} from '@aws-sdk/client-cloudformation';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Template } from './template.ts';

const WAIT_SECONDS = 120;

/**
 * Creates a stack and waits for it.
 *
 * @returns the physical id of each resource, by its logical name: a queue's URL, a bucket's name
 * @throws Error with what failed
 */
export async function createStack(name: string, template: Template): Promise<Map<string, string>> {
  const cloudFormation = new CloudFormationClient();
  const s3 = new S3Client({ forcePathStyle: true });
  try {
    // A template of this size is read from a bucket.
    const Bucket = `${name}-templates`;
    await s3.send(new CreateBucketCommand({ Bucket }));
    await s3.send(new PutObjectCommand({ Bucket, Key: 'template.json', Body: JSON.stringify(template) }));
    await cloudFormation.send(
      new CreateStackCommand({
        StackName: name,
        TemplateURL: `${process.env.AWS_ENDPOINT_URL}/${Bucket}/template.json`,
        Capabilities: ['CAPABILITY_NAMED_IAM'],
      }),
    );
    const { state, reason } = await waitUntilStackCreateComplete(
      { client: cloudFormation, maxWaitTime: WAIT_SECONDS, minDelay: 1, maxDelay: 2 },
      { StackName: name },
    ).catch((error: unknown) => ({ state: 'FAILURE', reason: error }));
    if (state !== 'SUCCESS')
      throw new Error(`stack ${name} was not created: ${await failures(name, cloudFormation)}`, {
        cause: reason,
      });
    const ids = new Map<string, string>();
    for await (const page of paginateListStackResources({ client: cloudFormation }, { StackName: name }))
      for (const { LogicalResourceId, PhysicalResourceId } of page.StackResourceSummaries ?? [])
        ids.set(LogicalResourceId!, PhysicalResourceId!);
    return ids;
  } finally {
    cloudFormation.destroy();
    s3.destroy();
  }
}

async function failures(StackName: string, client: CloudFormationClient): Promise<string> {
  const { StackEvents = [] } = await client.send(new DescribeStackEventsCommand({ StackName }));
  return StackEvents.filter(({ ResourceStatus }) => ResourceStatus?.endsWith('_FAILED'))
    .map(({ LogicalResourceId, ResourceStatusReason }) => `${LogicalResourceId}: ${ResourceStatusReason}`)
    .join('; ');
}

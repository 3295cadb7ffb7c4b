import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { FunctionDefinition, Manifest, QueueDefinition } from '../../lib/local/runner/manifest.ts';
import type { QueueHandle } from '../../lib/local/runner/queues.ts';
import type { Resource, Template } from './template.ts';

/** A deployment as the local runner serves it. */
export interface ServedStack {
  manifest: Manifest;
  queues: ReadonlyMap<string, QueueHandle>;
}

interface FunctionProperties {
  FunctionName: string;
  Handler: string;
  Timeout: number;
  MemorySize: number;
  ReservedConcurrentExecutions?: number;
  Code: { S3Key: string };
  Environment: { Variables: Record<string, unknown> };
}

interface MappingProperties {
  EventSourceArn: { 'Fn::GetAtt': [string, string] };
  FunctionName: { 'Fn::GetAtt': [string, string] };
  BatchSize: number;
  FunctionResponseTypes: string[];
  ScalingConfig: { MaximumConcurrency: number };
}

interface UrlProperties {
  TargetFunctionArn: { 'Fn::GetAtt': [string, string] };
}

/**
 * The functions of a packaged template, from their zip files, for the local runner: limits, environment and queues are the
 * template's, references are to the resources that exist. Schedules are left out: EventBridge has them.
 *
 * @param stack name of the deployment, with which its functions' names begin
 * @param ids physical ids of the resources by their logical names
 * @param artifacts directory of the zip files
 * @param directory an empty one, to unpack them in
 */
export async function servedStack(
  template: Template,
  stack: string,
  ids: ReadonlyMap<string, string>,
  artifacts: string,
  directory: string,
): Promise<ServedStack> {
  const all = Object.entries(template.Resources);
  const ofType = (type: string) => all.filter(([, { Type }]) => Type === type);
  const queueNames = new Map(ofType('AWS::SQS::Queue').map(([name, resource]) => [name, nameOf(resource)]));
  const mappings = ofType('AWS::Lambda::EventSourceMapping').map(
    ([, { Properties }]) => Properties as unknown as MappingProperties,
  );
  const urls = new Set(
    ofType('AWS::Lambda::Url').map(
      ([, { Properties }]) => (Properties as unknown as UrlProperties).TargetFunctionArn['Fn::GetAtt'][0],
    ),
  );
  const functions: FunctionDefinition[] = [];
  for (const [logical, { Properties }] of ofType('AWS::Lambda::Function')) {
    const spec = Properties as unknown as FunctionProperties;
    const name = spec.FunctionName.slice(stack.length + 1);
    const unpacked = path.join(directory, name);
    await unzip(path.join(artifacts, path.basename(spec.Code.S3Key)), unpacked);
    functions.push({
      name,
      bundle: path.join(unpacked, spec.Handler.replace(/\.handler$/, '.mjs')),
      timeoutSeconds: spec.Timeout,
      memoryMb: spec.MemorySize,
      ...(spec.ReservedConcurrentExecutions === undefined
        ? {}
        : { reservedConcurrency: spec.ReservedConcurrentExecutions }),
      environment: Object.fromEntries(
        Object.entries(spec.Environment.Variables).map(([key, value]) => [key, resolved(value, ids)]),
      ),
      events: [
        ...mappings
          .filter((mapping) => mapping.FunctionName['Fn::GetAtt'][0] === logical)
          .map((mapping) => ({
            queue: queueNames.get(mapping.EventSourceArn['Fn::GetAtt'][0])!,
            batchSize: mapping.BatchSize,
            maximumConcurrency: mapping.ScalingConfig.MaximumConcurrency,
            reportBatchItemFailures: mapping.FunctionResponseTypes.includes('ReportBatchItemFailures'),
          })),
        ...(urls.has(logical) ? [{ functionUrl: true as const }] : []),
      ],
    });
  }
  const queues = ofType('AWS::SQS::Queue').map(
    ([, resource]): QueueDefinition => ({
      name: nameOf(resource),
      visibilityTimeoutSeconds: Number(resource.Properties?.VisibilityTimeout ?? 30),
    }),
  );
  return { manifest: { functions, queues }, queues: await handles(queueNames, ids) };
}

const nameOf = ({ Properties }: Resource): string => String(Properties?.QueueName);

function resolved(value: unknown, ids: ReadonlyMap<string, string>): string {
  if (typeof value === 'string') return value;
  const id = ids.get((value as { Ref: string }).Ref);
  if (id === undefined) throw new Error(`the environment of a function has ${JSON.stringify(value)}`);
  return id;
}

async function handles(names: ReadonlyMap<string, string>, ids: ReadonlyMap<string, string>) {
  const sqs = new SQSClient();
  const found = new Map<string, QueueHandle>();
  for (const [logical, name] of names) {
    const url = ids.get(logical) as string;
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] }),
    );
    found.set(name, { url, arn: Attributes?.QueueArn as string });
  }
  sqs.destroy();
  return found;
}

/** Node.js has no reader of zip files; Python, which runs LocalStack, has one. */
async function unzip(file: string, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await promisify(execFile)('python3', ['-m', 'zipfile', '-e', file, directory]);
}

import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectionBound, functions, MAX_RECEIVES, VISIBILITY_FACTOR } from '../../../infra/functions.ts';
import type { PackagedTemplate } from '../../../infra/terraform/module.ts';
import { queueVariable } from '../../../lib/jobs/sender.ts';
import { receives, s3Rights } from '../../support/rights.ts';
import { describeTerraformModule } from './terraform-module.ts';

interface Resource {
  Type: string;
  Properties: Record<string, never> & Record<string, unknown>;
}

interface Statement {
  Action: string | string[];
  Resource: unknown;
}

let output: string;
let template: PackagedTemplate;
let resources: Record<string, Resource>;

const capital = (name: string) => name.replace(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase());
/** The artifact is named after the function's key in serverless.yml, which has no dashes. */
const artifact = (name: string) => `${capital(name).replace(/^./, (first) => first.toLowerCase())}.zip`;
const ofType = (type: string) => Object.entries(resources).filter(([, resource]) => resource.Type === type);
const properties = <T>(name: string): T => {
  const resource = resources[name];
  if (!resource) throw new Error(`the template has no ${name}`);
  return resource.Properties as T;
};
const actionsOf = (statements: Statement[]) => statements.flatMap(({ Action }) => Action);
const statementsOf = (name: string): Statement[] =>
  properties<{ Policies: { PolicyDocument: { Statement: Statement[] } }[] }>(
    `${capital(name)}Role`,
  ).Policies.flatMap((policy) => policy.PolicyDocument.Statement);

beforeAll(async () => {
  output = await mkdtemp(path.join(tmpdir(), 'skytools-template-'));
  await promisify(execFile)('npx', ['osls', 'package', '--package', output], {
    // No account, no region of the machine: the template must not depend on either.
    env: { PATH: process.env.PATH, HOME: output, SLS_TELEMETRY_DISABLED: '1' },
  });
  template = JSON.parse(
    await readFile(path.join(output, 'cloudformation-template-update-stack.json'), 'utf8'),
  );
  resources = template.Resources as typeof resources;
});

afterAll(() => rm(output, { recursive: true, force: true }));

describe('the packaged template', () => {
  it('deploys exactly the functions of the manifest, with their limits', () => {
    const deployed = ofType('AWS::Lambda::Function').map(([, { Properties: p }]) => [
      String(p.FunctionName).replace(/^skytools-dev-/, ''),
      p.Timeout,
      p.MemorySize,
      p.Runtime,
      p.Architectures,
      p.ReservedConcurrentExecutions,
    ]);
    expect(deployed.sort()).toEqual(
      functions
        .map(({ name, timeoutSeconds, memoryMb, concurrency }) => [
          name,
          timeoutSeconds,
          memoryMb,
          'nodejs24.x',
          ['arm64'],
          concurrency,
        ])
        .sort(),
    );
  });

  it('packs one small file per function with the configuration beside it', async () => {
    const files = await readdir(output);
    for (const { name } of functions) expect(files).toContain(artifact(name));
  });

  it.each(functions.flatMap((f) => f.triggers.flatMap((t) => ('queue' in t ? [{ f, t }] : []))))(
    'feeds $f.name from its queue, one failure at a time and never more at once than the databases bear',
    ({ f, t }) => {
      const mapping = ofType('AWS::Lambda::EventSourceMapping').find(
        ([, { Properties: p }]) =>
          JSON.stringify(p.FunctionName) ===
          JSON.stringify({ 'Fn::GetAtt': [`${capital(f.name)}LambdaFunction`, 'Arn'] }),
      )?.[1].Properties;
      expect(mapping).toMatchObject({
        EventSourceArn: { 'Fn::GetAtt': [`${capital(t.queue)}Queue`, 'Arn'] },
        BatchSize: t.batchSize,
        FunctionResponseTypes: ['ReportBatchItemFailures'],
        ScalingConfig: { MaximumConcurrency: t.maximumConcurrency },
      });
      expect(properties<Record<string, unknown>>(`${capital(t.queue)}Queue`)).toMatchObject({
        VisibilityTimeout: VISIBILITY_FACTOR * f.timeoutSeconds,
        RedrivePolicy: {
          maxReceiveCount: MAX_RECEIVES,
          deadLetterTargetArn: { 'Fn::GetAtt': [`${capital(t.queue)}DeadLetters`, 'Arn'] },
        },
      });
      expect(properties<Record<string, unknown>>(`${capital(t.queue)}Queue`)).not.toHaveProperty('FifoQueue');
    },
  );

  it('sweeps every minute', () => {
    const [, rule] = ofType('AWS::Events::Rule')[0]!;
    expect(rule.Properties).toMatchObject({ ScheduleExpression: 'rate(1 minute)', State: 'ENABLED' });
  });

  it.each(functions)('gives $name a role of its own with the least rights', (spec) => {
    const role = { 'Fn::GetAtt': [`${capital(spec.name)}Role`, 'Arn'] };
    expect(properties<Record<string, unknown>>(`${capital(spec.name)}LambdaFunction`).Role).toEqual(role);
    const statements = statementsOf(spec.name);
    const buckets = s3Rights(spec);
    const expected = [
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      ...(spec.sends.length > 0 ? ['sqs:SendMessage'] : []),
      ...(receives(spec).length > 0
        ? ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:ChangeMessageVisibility', 'sqs:GetQueueAttributes']
        : []),
      ...(spec.connects ? ['secretsmanager:GetSecretValue', 'ssm:GetParameter'] : []),
      ...buckets.hints,
      ...buckets.archive,
    ];
    expect(actionsOf(statements).sort()).toEqual(expected.sort());
    for (const statement of statements) expect(JSON.stringify(statement.Resource)).not.toBe('"*"');
    const sendable = statements.find(({ Action }) => Action === 'sqs:SendMessage')?.Resource;
    expect(sendable).toEqual(
      spec.sends.length === 0
        ? undefined
        : spec.sends.map((kind) => ({ 'Fn::GetAtt': [`${capital(kind)}Queue`, 'Arn'] })),
    );
  });

  it.each(functions)('tells $name the queues it sends to and fails messages back to', (spec) => {
    const { Variables } = properties<{ Environment: { Variables: Record<string, unknown> } }>(
      `${capital(spec.name)}LambdaFunction`,
    ).Environment;
    for (const kind of new Set([...spec.sends, ...receives(spec)]))
      expect(Variables[queueVariable(kind)]).toEqual({ Ref: `${capital(kind)}Queue` });
  });

  it('declares recursion for every function that can wake its own kind of work', () => {
    for (const spec of functions) {
      const own = spec.triggers.some((t) => 'queue' in t && spec.sends.includes(t.queue));
      const declared = properties<Record<string, unknown>>(
        `${capital(spec.name)}LambdaFunction`,
      ).RecursiveLoop;
      expect([spec.name, declared]).toEqual([spec.name, own ? 'Allow' : undefined]);
    }
  });

  it('alarms on tick age, consumer lag, blocked rotation, faulty tables and every dead-letter queue, each with its section of the manual', async () => {
    const manual = await readFile('docs/operating.md', 'utf8');
    const alarms = ofType('AWS::CloudWatch::Alarm').map(
      ([, { Properties: p }]) => p as Record<string, unknown>,
    );
    const figures = alarms.map((alarm) => alarm.MetricName);
    expect(figures).toEqual(
      expect.arrayContaining([
        'TickAgeSeconds',
        'ConsumerLagSeconds',
        'RotationBlockedSeconds',
        'FaultyTables',
      ]),
    );
    const watched = alarms.map((alarm) => JSON.stringify(alarm.Dimensions));
    for (const [name] of ofType('AWS::SQS::Queue').filter(([queue]) => queue.endsWith('DeadLetters'))) {
      expect(watched.some((dimensions) => dimensions.includes(`"${name}"`))).toBe(true);
    }
    for (const alarm of alarms) {
      const anchor = /docs\/operating\.md#([\w-]+)/.exec(String(alarm.AlarmDescription))?.[1];
      expect(anchor, `alarm "${alarm.AlarmDescription}" names no section`).toBeDefined();
      expect(manual.toLowerCase()).toContain(`## ${anchor!.replaceAll('-', ' ')}`);
    }
  });

  it('holds nothing of an account, a region or an organisation', () => {
    const text = JSON.stringify(resources);
    expect(text).not.toMatch(/\b\d{12}\b/);
    expect(text).not.toMatch(/arn:aws:|[a-z]{2}-[a-z]+-\d(?!\w)/);
    expect(text).not.toMatch(/subnet-|sg-[0-9a-f]|AKIA/);
  });

  it('bounds the connections to the databases by reserved concurrency, as the guide says', async () => {
    for (const { name, concurrency, triggers } of functions) {
      for (const trigger of triggers)
        if ('queue' in trigger) expect([name, trigger.maximumConcurrency]).toEqual([name, concurrency]);
    }
    const guide = await readFile('docs/guides/deploy.md', 'utf8');
    expect(guide).toContain(`**${connectionBound()} connections**`);
    for (const { name, concurrency, connections } of functions) {
      if (connections === 0) continue;
      expect(guide).toContain(
        `| \`${name}\` | ${concurrency} | ${connections} | ${concurrency * connections} |`,
      );
    }
  });

  it('puts every function that connects into the VPC, if there is one, and none that does not', () => {
    for (const { name, connects } of functions) {
      const { VpcConfig } = properties<{ VpcConfig?: { 'Fn::If': unknown[] } }>(
        `${capital(name)}LambdaFunction`,
      );
      expect([name, VpcConfig?.['Fn::If'][0]]).toEqual([name, connects ? 'InVpc' : undefined]);
      const { ManagedPolicyArns } = properties<{ ManagedPolicyArns?: unknown }>(`${capital(name)}Role`);
      expect([name, ManagedPolicyArns !== undefined]).toEqual([name, connects]);
    }
  });

  it('keeps every queue and bucket encrypted, and every bucket closed to the public', () => {
    for (const [name, { Properties: p }] of ofType('AWS::SQS::Queue'))
      expect([name, p.SqsManagedSseEnabled]).toEqual([name, true]);
    for (const [name, { Properties: p }] of ofType('AWS::S3::Bucket')) {
      expect([name, Object.keys(p)]).toEqual([name, expect.arrayContaining(['BucketEncryption'])]);
      if (name === 'ServerlessDeploymentBucket') continue;
      expect([name, Object.values(p.PublicAccessBlockConfiguration as unknown as object)]).toEqual([
        name,
        [true, true, true, true],
      ]);
    }
  });

  it('writes WAL once: the bucket itself refuses a PUT that could overwrite, and keeps what is removed', () => {
    const statements = properties<{ PolicyDocument: { Statement: Record<string, unknown>[] } }>(
      'WalBucketPolicy',
    ).PolicyDocument.Statement;
    expect(statements.find(({ Sid }) => Sid === 'WrittenOnce')).toMatchObject({
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:PutObject',
      Condition: { Null: { 's3:if-none-match': 'true' } },
    });
    expect(properties<Record<string, unknown>>('WalBucket')).toMatchObject({
      VersioningConfiguration: { Status: 'Enabled' },
      ObjectLockEnabled: { 'Fn::If': ['Locked', true, { Ref: 'AWS::NoValue' }] },
    });
    expect(resources.WalBucket).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  it('shows every function and every queue on its dashboard', () => {
    const body = properties<{ DashboardBody: { 'Fn::Sub': string } }>('Dashboard').DashboardBody['Fn::Sub'];
    const { widgets } = JSON.parse(body) as { widgets: unknown[] };
    const shown = JSON.stringify(widgets);
    for (const { name, triggers } of functions) {
      expect(shown).toContain(`"skytools-dev-${name}"`);
      for (const trigger of triggers)
        if ('queue' in trigger) expect(shown).toContain(`"skytools-dev-${trigger.queue}-dead"`);
    }
  });

  it('keeps logs for a time that can be chosen', () => {
    const logs = ofType('AWS::Logs::LogGroup').map(([, { Properties: p }]) => p.RetentionInDays);
    expect(logs).toEqual(functions.map(() => 30));
  });
});

describeTerraformModule(() => ({ template, output }));

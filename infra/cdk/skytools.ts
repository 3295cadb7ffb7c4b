import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Stack } from 'aws-cdk-lib';
import type { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import { Construct } from 'constructs';

/** Parameters of the stack, as docs/guides/deploy.md tells of them. */
export interface SkytoolsProps {
  /** Directory that `npm run package` has written: `.serverless`. */
  readonly packaged: string;
  /** Private subnets that reach the databases; none: the functions run outside any VPC. */
  readonly subnetIds?: readonly string[];
  readonly securityGroupIds?: readonly string[];
  readonly alarmEmail?: string;
  readonly objectLockDays?: number;
  readonly removedDays?: number;
}

interface PackagedTemplate {
  Resources: Record<string, { Type: string; Properties: { Code?: { S3Bucket: unknown; S3Key: string } } }>;
  Outputs: Record<string, unknown>;
}

/** osls uploads code to a bucket of the stack; the CDK has its own for assets. */
const ONLY_FOR_UPLOADS = /^ServerlessDeploymentBucket/;

/**
 * The whole of SkyTools in a stack of your CDK app: the packaged CloudFormation template itself, so that nothing can differ
 * from what `npm run deploy` brings, with the functions' code as assets. Logical ids stay as they are, so one stack has one.
 *
 * After a deployment invoke the function `migrate`: it installs or upgrades the SQL in every configured database.
 *
 * @throws Error where the stack's name has capitals, for the bucket of the archive is named after it
 */
export class Skytools extends Construct {
  /** The included template: `getResource('WalBucket')` and so on. */
  readonly template: CfnInclude;

  constructor(scope: Construct, id: string, props: SkytoolsProps) {
    super(scope, id);
    const { stackName } = Stack.of(this);
    if (stackName !== stackName.toLowerCase())
      throw new Error(
        `the name of the stack "${stackName}" must be in lower case: S3 has no capitals in names`,
      );
    const file = path.join(props.packaged, 'cloudformation-template-update-stack.json');
    const template = JSON.parse(readFileSync(file, 'utf8')) as PackagedTemplate;
    const zips = new Map<string, string>();
    for (const [name, { Properties }] of Object.entries(template.Resources)) {
      if (Properties?.Code === undefined) continue;
      zips.set(name, path.basename(Properties.Code.S3Key));
      // Until the asset is there.
      Properties.Code = { S3Bucket: 'asset', S3Key: 'asset' };
    }
    for (const part of [template.Resources, template.Outputs])
      for (const name of Object.keys(part)) if (ONLY_FOR_UPLOADS.test(name)) delete part[name];
    this.template = this.#include(template, props);
    for (const [name, zip] of zips) {
      const asset = new Asset(this, `${name}Code`, { path: path.join(props.packaged, zip) });
      const { s3BucketName: s3Bucket, s3ObjectKey: s3Key } = asset;
      (this.template.getResource(name) as CfnFunction).code = { s3Bucket, s3Key };
    }
  }

  /** CfnInclude reads files only. */
  #include(template: object, props: SkytoolsProps): CfnInclude {
    const directory = mkdtempSync(path.join(tmpdir(), 'skytools-cdk-'));
    try {
      const templateFile = path.join(directory, 'template.json');
      writeFileSync(templateFile, JSON.stringify(template));
      const given = {
        SubnetIds: props.subnetIds?.join(','),
        SecurityGroupIds: props.securityGroupIds?.join(','),
        AlarmEmail: props.alarmEmail,
        ObjectLockDays: props.objectLockDays,
        RemovedDays: props.removedDays,
      };
      const included = new CfnInclude(this, 'Template', { templateFile });
      for (const [name, value] of Object.entries(given))
        if (value !== undefined) included.getParameter(name).default = value;
      return included;
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
}

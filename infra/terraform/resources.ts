import type { Expressions, Value } from './expression.ts';
import { Properties } from './properties.ts';

/** The parts of Terraform that one CloudFormation resource becomes, by their types. All have its logical name. */
export type Counterpart = Record<string, Record<string, unknown>>;

/** What a converter gets: the properties, and how to say values. */
export interface Source {
  logical: string;
  properties: Properties;
  say: Expressions;
}

type Converter = (source: Source) => Counterpart;

/** An expression of Terraform inside a string of Terraform. */
const own = (expression: string) => `\${${expression}}`;

/** A name that Terraform wants where CloudFormation makes one up. */
const named = (logical: string) => `${own('local.stack')}-${logical}`;

function lambdaFunction({ logical, properties: p, say }: Source): Counterpart {
  const zip = (p.take('Code') as { S3Key: string }).S3Key.replace(/^.*\//, '');
  const file = `${own('path.module')}/functions/${zip}`;
  const vpc = p.take('VpcConfig') as { 'Fn::If': [string, Record<string, Value>, Value] } | undefined;
  const recursion = p.take('RecursiveLoop');
  return {
    aws_lambda_function: {
      filename: file,
      source_code_hash: own(`filebase64sha256("${file}")`),
      function_name: p.say('FunctionName'),
      handler: p.say('Handler'),
      runtime: p.say('Runtime'),
      architectures: p.say('Architectures'),
      memory_size: p.say('MemorySize'),
      timeout: p.say('Timeout'),
      role: p.say('Role'),
      reserved_concurrent_executions: p.say('ReservedConcurrentExecutions'),
      environment: p.say('Environment', ({ Variables }: { Variables: Value }) => ({
        variables: say.value(Variables),
      })),
      ...(vpc && {
        dynamic: {
          vpc_config: {
            for_each: own(`local.${vpc['Fn::If'][0]} ? [1] : []`),
            content: {
              subnet_ids: say.value(vpc['Fn::If'][1].SubnetIds),
              security_group_ids: say.value(vpc['Fn::If'][1].SecurityGroupIds),
            },
          },
        },
      }),
    },
    ...(recursion !== undefined && {
      aws_lambda_function_recursion_config: {
        function_name: own(`aws_lambda_function.${logical}.function_name`),
        recursive_loop: recursion,
      },
    }),
  };
}

interface Policy {
  PolicyName: Value;
  PolicyDocument: Value;
}

function role({ logical, properties: p, say }: Source): Counterpart {
  const [policy, ...more] = p.take('Policies') as Policy[];
  if (!policy || more.length > 0) throw new Error(`terraform: ${logical} has not exactly one policy`);
  const managed = p.take('ManagedPolicyArns');
  return {
    aws_iam_role: {
      name: named(logical),
      assume_role_policy: p.say('AssumeRolePolicyDocument', (document) => say.document(document)),
    },
    aws_iam_role_policy: {
      name: say.value(policy.PolicyName),
      role: own(`aws_iam_role.${logical}.name`),
      policy: say.document(policy.PolicyDocument),
    },
    ...(managed !== undefined && {
      aws_iam_role_policy_attachment: {
        for_each: own(`toset(${say.expression(managed)})`),
        role: own(`aws_iam_role.${logical}.name`),
        policy_arn: own('each.value'),
      },
    }),
  };
}

/** A policy beside a role: what the configured consumers call. */
function rolePolicy({ logical, properties: p, say }: Source): Counterpart {
  const [of, ...more] = p.take('Roles') as Value[];
  if (more.length > 0) throw new Error(`terraform: ${logical} is of more than one role`);
  return {
    aws_iam_role_policy: {
      name: p.say('PolicyName'),
      role: say.value(of),
      policy: p.say('PolicyDocument', (document) => say.document(document)),
    },
  };
}

interface LifecycleRule {
  Id: string;
  Status: string;
  Prefix?: string;
  ExpirationInDays?: Value;
  NoncurrentVersionExpiration?: { NoncurrentDays: Value };
  AbortIncompleteMultipartUpload?: { DaysAfterInitiation: Value };
}

function bucket({ logical, properties: p, say }: Source): Counterpart {
  const of = { bucket: own(`aws_s3_bucket.${logical}.bucket`) };
  const name = p.take('BucketName');
  const lock = p.take('ObjectLockConfiguration') as { 'Fn::If': [string, LockRule, Value] } | undefined;
  const notification = p.take('NotificationConfiguration') as
    | { QueueConfigurations: { Event: string; Queue: Value }[] }
    | undefined;
  return {
    aws_s3_bucket: {
      ...(name === undefined ? { bucket_prefix: `${own('local.stack')}-` } : { bucket: say.value(name) }),
      object_lock_enabled: p.say('ObjectLockEnabled'),
    },
    aws_s3_bucket_public_access_block: {
      ...of,
      ...(p.say('PublicAccessBlockConfiguration', (block: Record<string, boolean>) => ({
        block_public_acls: block.BlockPublicAcls,
        block_public_policy: block.BlockPublicPolicy,
        ignore_public_acls: block.IgnorePublicAcls,
        restrict_public_buckets: block.RestrictPublicBuckets,
      })) as object),
    },
    aws_s3_bucket_server_side_encryption_configuration: {
      ...of,
      rule: p.say('BucketEncryption', ({ ServerSideEncryptionConfiguration: rules }: Encryption) =>
        rules.map(({ ServerSideEncryptionByDefault: { SSEAlgorithm } }) => ({
          apply_server_side_encryption_by_default: { sse_algorithm: SSEAlgorithm },
        })),
      ),
    },
    ...p.part('VersioningConfiguration', ({ Status }: { Status: string }) => ({
      aws_s3_bucket_versioning: { ...of, versioning_configuration: { status: Status } },
    })),
    ...(lock && {
      aws_s3_bucket_object_lock_configuration: {
        count: own(`local.${lock['Fn::If'][0]} ? 1 : 0`),
        ...of,
        object_lock_enabled: lock['Fn::If'][1].ObjectLockEnabled,
        rule: {
          default_retention: {
            mode: lock['Fn::If'][1].Rule.DefaultRetention.Mode,
            days: say.value(lock['Fn::If'][1].Rule.DefaultRetention.Days),
          },
        },
      },
    }),
    ...p.part('LifecycleConfiguration', ({ Rules }: { Rules: LifecycleRule[] }) => ({
      aws_s3_bucket_lifecycle_configuration: { ...of, rule: Rules.map((rule) => lifecycleRule(rule, say)) },
    })),
    ...(notification && {
      aws_s3_bucket_notification: {
        ...of,
        queue: notification.QueueConfigurations.map(({ Event, Queue }) => ({
          queue_arn: say.value(Queue),
          events: [Event],
        })),
      },
    }),
  };
}

interface LockRule {
  ObjectLockEnabled: string;
  Rule: { DefaultRetention: { Mode: string; Days: Value } };
}

interface Encryption {
  ServerSideEncryptionConfiguration: { ServerSideEncryptionByDefault: { SSEAlgorithm: string } }[];
}

function lifecycleRule(rule: LifecycleRule, say: Expressions): object {
  const properties = new Properties(`rule ${rule.Id}`, { ...rule }, say);
  const said = {
    id: properties.take('Id'),
    status: properties.take('Status'),
    filter: { prefix: properties.take('Prefix') ?? '' },
    ...properties.part('ExpirationInDays', (days) => ({ expiration: { days: say.value(days) } })),
    ...properties.part('NoncurrentVersionExpiration', ({ NoncurrentDays }: { NoncurrentDays: Value }) => ({
      noncurrent_version_expiration: { noncurrent_days: say.value(NoncurrentDays) },
    })),
    ...properties.part(
      'AbortIncompleteMultipartUpload',
      ({ DaysAfterInitiation }: { DaysAfterInitiation: Value }) => ({
        abort_incomplete_multipart_upload: { days_after_initiation: say.value(DaysAfterInitiation) },
      }),
    ),
  };
  properties.requireAllTaken();
  return said;
}

interface Target {
  Arn: Value;
  Id: string;
}

function eventRule({ logical, properties: p, say }: Source): Counterpart {
  const [target, ...more] = p.take('Targets') as Target[];
  if (!target || more.length > 0) throw new Error(`terraform: ${logical} has not exactly one target`);
  return {
    aws_cloudwatch_event_rule: {
      name: named(logical),
      schedule_expression: p.say('ScheduleExpression'),
      state: p.say('State'),
    },
    aws_cloudwatch_event_target: {
      rule: own(`aws_cloudwatch_event_rule.${logical}.name`),
      arn: say.value(target.Arn),
      target_id: target.Id,
    },
  };
}

interface Dimension {
  Name: string;
  Value: Value;
}

/** How each type of resource is said in Terraform. */
export const converters: Readonly<Record<string, Converter>> = {
  'AWS::Lambda::Function': lambdaFunction,
  'AWS::IAM::Role': role,
  'AWS::IAM::Policy': rolePolicy,
  'AWS::S3::Bucket': bucket,
  'AWS::Events::Rule': eventRule,
  'AWS::S3::BucketPolicy': ({ properties: p, say }) => ({
    aws_s3_bucket_policy: {
      bucket: p.say('Bucket'),
      policy: p.say('PolicyDocument', (document) => say.document(document)),
    },
  }),
  'AWS::Logs::LogGroup': ({ properties: p }) => ({
    aws_cloudwatch_log_group: { name: p.say('LogGroupName'), retention_in_days: p.say('RetentionInDays') },
  }),
  'AWS::Lambda::Url': ({ properties: p }) => ({
    aws_lambda_function_url: {
      function_name: p.say('TargetFunctionArn'),
      authorization_type: p.say('AuthType'),
    },
  }),
  'AWS::Lambda::Permission': ({ logical, properties: p }) => ({
    aws_lambda_permission: {
      statement_id: logical,
      function_name: p.say('FunctionName'),
      action: p.say('Action'),
      principal: p.say('Principal'),
      source_arn: p.say('SourceArn'),
      function_url_auth_type: p.say('FunctionUrlAuthType'),
      invoked_via_function_url: p.say('InvokedViaFunctionUrl'),
    },
  }),
  'AWS::Lambda::EventSourceMapping': ({ properties: p }) => ({
    aws_lambda_event_source_mapping: {
      event_source_arn: p.say('EventSourceArn'),
      function_name: p.say('FunctionName'),
      batch_size: p.say('BatchSize'),
      enabled: p.say('Enabled'),
      function_response_types: p.say('FunctionResponseTypes'),
      scaling_config: p.say('ScalingConfig', (scaling: { MaximumConcurrency: number }) => ({
        maximum_concurrency: scaling.MaximumConcurrency,
      })),
    },
  }),
  'AWS::SQS::Queue': ({ properties: p, say }) => ({
    aws_sqs_queue: {
      name: p.say('QueueName'),
      visibility_timeout_seconds: p.say('VisibilityTimeout'),
      message_retention_seconds: p.say('MessageRetentionPeriod'),
      sqs_managed_sse_enabled: p.say('SqsManagedSseEnabled'),
      redrive_policy: p.say('RedrivePolicy', (policy) => say.document(policy)),
    },
  }),
  'AWS::SQS::QueuePolicy': ({ logical, properties: p, say }) => {
    const [queue, ...more] = p.take('Queues') as Value[];
    if (more.length > 0) throw new Error(`terraform: ${logical} is of more than one queue`);
    return {
      aws_sqs_queue_policy: {
        queue_url: say.value(queue),
        policy: p.say('PolicyDocument', (document) => say.document(document)),
      },
    };
  },
  'AWS::SNS::Topic': ({ logical }) => ({ aws_sns_topic: { name: named(logical) } }),
  'AWS::SNS::Subscription': ({ properties: p }) => ({
    aws_sns_topic_subscription: {
      topic_arn: p.say('TopicArn'),
      protocol: p.say('Protocol'),
      endpoint: p.say('Endpoint'),
    },
  }),
  'AWS::CloudWatch::Alarm': ({ logical, properties: p, say }) => ({
    aws_cloudwatch_metric_alarm: {
      alarm_name: named(logical),
      alarm_description: p.say('AlarmDescription'),
      namespace: p.say('Namespace'),
      metric_name: p.say('MetricName'),
      dimensions: p.say('Dimensions', (dimensions: Dimension[]) =>
        Object.fromEntries(dimensions.map(({ Name, Value }) => [Name, say.value(Value)])),
      ),
      statistic: p.say('Statistic'),
      period: p.say('Period'),
      evaluation_periods: p.say('EvaluationPeriods'),
      threshold: p.say('Threshold'),
      comparison_operator: p.say('ComparisonOperator'),
      treat_missing_data: p.say('TreatMissingData'),
      alarm_actions: p.say('AlarmActions'),
    },
  }),
  'AWS::CloudWatch::Dashboard': ({ properties: p }) => ({
    aws_cloudwatch_dashboard: {
      dashboard_name: p.say('DashboardName'),
      dashboard_body: p.say('DashboardBody'),
    },
  }),
};

/** What `Ref` gives of a type of resource, and its attributes, as Terraform calls them. */
export const attributes: Readonly<
  Record<string, { type: string; Ref: string; [attribute: string]: string }>
> = {
  'AWS::Lambda::Function': { type: 'aws_lambda_function', Ref: 'function_name', Arn: 'arn' },
  'AWS::Lambda::Url': { type: 'aws_lambda_function_url', Ref: 'function_arn', FunctionUrl: 'function_url' },
  'AWS::IAM::Role': { type: 'aws_iam_role', Ref: 'name', Arn: 'arn' },
  'AWS::S3::Bucket': { type: 'aws_s3_bucket', Ref: 'bucket', Arn: 'arn' },
  'AWS::SQS::Queue': { type: 'aws_sqs_queue', Ref: 'url', Arn: 'arn', QueueName: 'name' },
  'AWS::SNS::Topic': { type: 'aws_sns_topic', Ref: 'arn' },
  'AWS::Events::Rule': { type: 'aws_cloudwatch_event_rule', Ref: 'name', Arn: 'arn' },
};

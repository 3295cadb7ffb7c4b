/** A resource of a CloudFormation template. */
export interface Resource {
  Type: string;
  Properties?: Record<string, unknown>;
  DependsOn?: string | string[];
}

/** A CloudFormation template, as far as it is looked at here. */
export interface Template {
  Resources: Record<string, Resource>;
  Outputs?: Record<string, unknown>;
}

/** The queue that stands in for the functions that EventBridge rules call. */
export const SCHEDULE_QUEUE = 'ScheduleBridgeQueue';

/**
 * The packaged template without its functions, for a LocalStack that cannot run them: queues, buckets, policies, roles,
 * rules, log groups, alarms stay as they are. Rules call a queue in place of their functions, so that the schedule's events
 * can be handed on; whatever else names a function goes.
 */
export function withoutFunctions(template: Template): Template {
  const isFunction = ([, { Type }]: [string, Resource]) => Type.startsWith('AWS::Lambda::');
  const functions = new Set(
    Object.entries(template.Resources)
      .filter(isFunction)
      .map(([name]) => name),
  );
  const bridged = structuredClone(template);
  for (const { Type, Properties } of Object.values(bridged.Resources)) {
    if (Type !== 'AWS::Events::Rule') continue;
    const targets = Properties?.Targets as { Arn: unknown }[];
    for (const target of targets) target.Arn = { 'Fn::GetAtt': [SCHEDULE_QUEUE, 'Arn'] };
  }
  bridged.Resources[SCHEDULE_QUEUE] = { Type: 'AWS::SQS::Queue', Properties: {} };
  const keep = ([name, value]: [string, unknown]) => !functions.has(name) && !namesOneOf(value, functions);
  return {
    ...bridged,
    Resources: Object.fromEntries(Object.entries(bridged.Resources).filter(keep)),
    Outputs: Object.fromEntries(Object.entries(bridged.Outputs ?? {}).filter(keep)),
  };
}

/** Whether a value holds a reference to one of the logical names. */
function namesOneOf(value: unknown, names: ReadonlySet<string>): boolean {
  if (typeof value === 'string') return names.has(value);
  if (value === null || typeof value !== 'object') return false;
  return Object.values(value).some((inner) => namesOneOf(inner, names));
}

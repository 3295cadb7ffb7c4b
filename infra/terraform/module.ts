import type { Resource, Template } from '../localstack/template.ts';
import { Expressions, type Value } from './expression.ts';
import { Properties } from './properties.ts';
import { attributes, type Counterpart, converters } from './resources.ts';

/** A packaged template, as far as a module is made of it. */
export interface PackagedTemplate extends Template {
  Parameters: Record<string, Parameter>;
  Conditions: Record<string, Value>;
  Resources: Record<string, Resource & { Condition?: string; DeletionPolicy?: string }>;
  Outputs: Record<string, { Description?: string; Value: Value }>;
}

interface Parameter {
  Type: 'String' | 'Number' | 'CommaDelimitedList';
  Description: string;
  Default: string;
  MinValue?: number;
  MaxValue?: number;
}

/** The files of a module, in Terraform's JSON syntax, by their names. */
export type ModuleFiles = Record<`${string}.tf.json`, object>;

/** osls uploads code to a bucket of the stack; Terraform takes it from the module's own directory. */
const ONLY_FOR_UPLOADS = /^ServerlessDeploymentBucket/;

/** Terraform's names are in snake case. */
const snake = (name: string) => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toLowerCase();

/**
 * The packaged CloudFormation template as a Terraform module. A property without a counterpart here is refused, so that the
 * two cannot drift apart: what is added to the stack is added to the module, or the build fails.
 *
 * @param stack the stack's name as it is in the template, `<service>-<stage>`
 * @throws Error that names what has no counterpart
 */
export function terraformModule(template: PackagedTemplate, stack: string): ModuleFiles {
  const kept = Object.entries(template.Resources).filter(([name]) => !ONLY_FOR_UPLOADS.test(name));
  const address = (logical: string, attribute: string) => {
    const known = attributes[template.Resources[logical]?.Type ?? ''];
    const name = known?.[attribute];
    if (!known || !name) throw new Error(`terraform: no counterpart of ${logical}.${attribute}`);
    return `${known.type}.${logical}.${name}`;
  };
  const say = new Expressions({
    stack,
    ref: (name) => (template.Parameters[name] ? `var.${snake(name)}` : address(name, 'Ref')),
    attribute: address,
  });
  const parts = new Map(kept.map(([logical, resource]) => [logical, counterpart(logical, resource, say)]));
  const resource: Record<string, Record<string, object>> = {};
  for (const [logical, { Condition, DeletionPolicy, DependsOn }] of kept) {
    const needed = [DependsOn ?? []].flat();
    const depends_on = needed.flatMap((name) =>
      Object.keys(parts.get(name) ?? {}).map((type) => `${type}.${name}`),
    );
    for (const [index, [type, body]] of Object.entries(parts.get(logical)!).entries()) {
      resource[type] ??= {};
      resource[type][logical] = {
        ...(Condition && { count: `\${local.${Condition} ? 1 : 0}` }),
        ...body,
        ...(index === 0 && depends_on.length > 0 && { depends_on }),
        ...(index === 0 && DeletionPolicy === 'Retain' && { lifecycle: { prevent_destroy: true } }),
      };
    }
  }
  const [service, stage] = [stack.slice(0, stack.lastIndexOf('-')), stack.slice(stack.lastIndexOf('-') + 1)];
  const conditions = Object.entries(template.Conditions).map(([name, condition]) => [
    name,
    `\${${say.expression(condition)}}`,
  ]);
  const outputs = Object.entries(template.Outputs).filter(([name]) => !ONLY_FOR_UPLOADS.test(name));
  return {
    'main.tf.json': {
      terraform: {
        required_version: '>= 1.5',
        // The first that knows invoked_via_function_url, without which a function URL answers 403.
        required_providers: { aws: { source: 'hashicorp/aws', version: '>= 6.29' } },
      },
      locals: { stack: `${service}-\${var.stage}`, ...Object.fromEntries(conditions) },
      data: {
        aws_partition: { current: {} },
        aws_region: { current: {} },
        aws_caller_identity: { current: {} },
      },
      resource,
    },
    'variables.tf.json': {
      variable: {
        stage: { type: 'string', default: stage, description: 'part of the name of everything in the stack' },
        ...Object.fromEntries(
          Object.entries(template.Parameters).map(([name, parameter]) => [
            snake(name),
            variable(name, parameter),
          ]),
        ),
      },
    },
    'outputs.tf.json': {
      output: {
        migrate_function: {
          description: 'to be invoked after each apply: installs or upgrades the SQL in every database',
          value: `\${${address('MigrateLambdaFunction', 'Ref')}}`,
        },
        ...Object.fromEntries(
          outputs.map(([name, { Description, Value }]) => [
            snake(name),
            { description: Description, value: say.value(Value) },
          ]),
        ),
      },
    },
  };
}

function counterpart(
  logical: string,
  { Type, Properties: given = {} }: Resource,
  say: Expressions,
): Counterpart {
  const convert = converters[Type];
  if (!convert) throw new Error(`terraform: no counterpart of ${Type} (${logical})`);
  const properties = new Properties(logical, given, say);
  const parts = convert({ logical, properties, say });
  properties.requireAllTaken();
  return parts;
}

const TYPES = {
  String: { type: 'string', read: (text: string): unknown => text },
  Number: { type: 'number', read: Number },
  CommaDelimitedList: { type: 'list(string)', read: (text: string) => text.split(',').filter(Boolean) },
};

function variable(name: string, { Type, Description, Default, MinValue, MaxValue }: Parameter): object {
  const bounds = [
    ...(MinValue === undefined ? [] : [`var.${snake(name)} >= ${MinValue}`]),
    ...(MaxValue === undefined ? [] : [`var.${snake(name)} <= ${MaxValue}`]),
  ];
  return {
    type: TYPES[Type].type,
    default: TYPES[Type].read(Default),
    description: Description,
    ...(bounds.length > 0 && {
      validation: {
        condition: `\${${bounds.join(' && ')}}`,
        error_message: `Needed: ${bounds.join(' and ')}.`,
      },
    }),
  };
}

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { functions } from '../../../infra/functions.ts';
import { type PackagedTemplate, terraformModule } from '../../../infra/terraform/module.ts';

/* The Terraform module is made from the packaged template. Here the two are compared by other means than those that made it:
   every literal of every resource has to be found again in its counterpart, and every reference has to lead somewhere. */

type Body = Record<string, unknown>;

/** Resources by type and name. */
type Resources = Record<string, Record<string, Body>>;

/** The stack's own name, in a string of Terraform. */
const STACK = `\${local.stack}`;

/** Everything that stands in a value, JSON documents inside strings included. */
function leaves(value: unknown): unknown[] {
  if (typeof value === 'string' && value.startsWith('{')) return leaves(JSON.parse(value));
  if (typeof value !== 'object' || value === null) return [value];
  return Object.entries(value).flatMap(([key, each]) =>
    key === 'dimensions' ? [...Object.keys(each), ...leaves(each)] : leaves(each),
  );
}

/** What a value of the template consists of: literals as they are, and the resources and parameters it refers to. */
function parts(value: unknown): { literals: unknown[]; references: string[] } {
  if (typeof value === 'string' && value.startsWith('{')) return parts(JSON.parse(value));
  if (typeof value !== 'object' || value === null) return { literals: [value], references: [] };
  const entries = Object.entries(value);
  const [[name, argument] = []] = entries;
  if (entries.length === 1 && name === 'Ref') return { literals: [], references: [argument as string] };
  if (name === 'Fn::GetAtt') return { literals: [], references: [(argument as string[])[0]!] };
  if (name === 'Fn::Sub') {
    const references = [...(argument as string).matchAll(/\$\{(\w+)(\.\w+)?\}/g)].map(([, of]) => of!);
    return { literals: [], references };
  }
  // The condition's name, and what holds without it.
  if (name === 'Fn::If') return parts((argument as unknown[])[1]);
  const all = entries.map(([, each]) => parts(each));
  return {
    literals: all.flatMap(({ literals }) => literals),
    references: all.flatMap(({ references }) => references),
  };
}

const snake = (name: string) => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_').toLowerCase();

/** @param packaged the template of the packaged stack, and the directory of its zip files, once they are there */
export function describeTerraformModule(
  packaged: () => { template: PackagedTemplate; output: string },
): void {
  let template: PackagedTemplate;
  let resource: Resources;
  let files: ReturnType<typeof terraformModule>;

  beforeAll(() => {
    ({ template } = packaged());
    files = terraformModule(template, 'skytools-dev');
    resource = (files['main.tf.json'] as { resource: Resources }).resource;
  });

  const counterparts = (logical: string) =>
    Object.entries(resource).flatMap(([type, named]) =>
      named[logical] ? [[type, named[logical]] as const] : [],
    );

  const kept = () =>
    Object.entries(template.Resources).filter(([name]) => !name.startsWith('ServerlessDeploymentBucket'));

  describe('the Terraform module', () => {
    it('has a counterpart of every resource of the template, and nothing else', () => {
      const logical = new Set(Object.values(resource).flatMap((named) => Object.keys(named)));
      expect([...logical].sort()).toEqual(
        kept()
          .map(([name]) => name)
          .sort(),
      );
    });

    it('says every literal of every resource: time-outs, memory, environment, policies, alarms', () => {
      for (const [logical, { Properties: all = {} }] of kept()) {
        const { Code, ...given } = all;
        // A time-out, say, that is in the module as often as in the template.
        const left = counterparts(logical).flatMap(([, body]) => leaves(body));
        for (const literal of parts(given).literals) {
          const said = typeof literal === 'string' ? literal.replaceAll('skytools-dev', STACK) : literal;
          const at = left.indexOf(said);
          if (at < 0 && left.includes(`\${local.Locked ? ${said} : null}`)) continue;
          expect(at, `${logical}: ${said}`).toBeGreaterThanOrEqual(0);
          left.splice(at, 1);
        }
        if (Code)
          expect(JSON.stringify(counterparts(logical))).toContain(
            path.basename((Code as { S3Key: string }).S3Key),
          );
      }
    });

    it('refers to what the template refers to, resource by resource', () => {
      for (const [logical, { Properties: given = {} }] of kept()) {
        const text = JSON.stringify(counterparts(logical));
        const { Code, ...rest } = given;
        for (const name of parts(rest).references.filter((each) => !each.startsWith('AWS::'))) {
          const expected = template.Parameters[name] ? `var.${snake(name)}` : `.${name}.`;
          expect(text, `${logical} refers to ${name}`).toContain(expected);
        }
      }
    });

    it('names nothing that is not there, and nothing that needs itself', () => {
      const needs = new Map<string, Set<string>>();
      for (const [type, named] of Object.entries(resource)) {
        for (const [name, body] of Object.entries(named)) {
          const addresses = [...JSON.stringify(body).matchAll(/\b(aws_\w+)\.([A-Z]\w+)/g)];
          needs.set(`${type}.${name}`, new Set(addresses.map(([address]) => address)));
        }
      }
      const ended = new Set<string>();
      const visit = (address: string, way: string[]): void => {
        expect(way, 'a circle').not.toContain(address);
        if (ended.has(address)) return;
        expect(needs.has(address), `${way.at(-1)} needs ${address}`).toBe(true);
        for (const next of needs.get(address)!) visit(next, [...way, address]);
        ended.add(address);
      };
      for (const address of needs.keys()) visit(address, []);
      const { locals } = files['main.tf.json'] as { locals: Body };
      const { variable } = files['variables.tf.json'] as { variable: Body };
      const text = JSON.stringify(files);
      for (const [, name] of text.matchAll(/\blocal\.(\w+)/g)) expect(Object.keys(locals)).toContain(name);
      for (const [, name] of text.matchAll(/\bvar\.(\w+)/g)) expect(Object.keys(variable)).toContain(name);
    });

    it('deploys the functions of the manifest with their limits, each from its zip file', async () => {
      const zips = await readdir(packaged().output);
      for (const { name, timeoutSeconds, memoryMb, concurrency } of functions) {
        const found = Object.values(resource.aws_lambda_function!).find(
          ({ function_name }) => function_name === `${STACK}-${name}`,
        );
        expect(found, name).toMatchObject({
          timeout: timeoutSeconds,
          memory_size: memoryMb,
          reserved_concurrent_executions: concurrency,
        });
        expect(zips).toContain(path.basename(found!.filename as string));
      }
    });

    it('is refused where the template has what it does not know, instead of leaving it out', () => {
      const changed = structuredClone(template);
      changed.Resources.TickQueue!.Properties!.DelaySeconds = 5;
      expect(() => terraformModule(changed, 'skytools-dev')).toThrow(
        'TickQueue: no counterpart of DelaySeconds',
      );
      const more = structuredClone(template);
      more.Resources.Extra = { Type: 'AWS::DynamoDB::Table' };
      expect(() => terraformModule(more, 'skytools-dev')).toThrow('no counterpart of AWS::DynamoDB::Table');
    });

    it('leaves marks of IAM and of CloudFormation as they are', () => {
      const changed = structuredClone(template);
      const role = changed.Resources.SweepRole!.Properties as { Policies: { PolicyDocument: Body }[] };
      role.Policies[0]!.PolicyDocument.Statement = [
        { Resource: `own/\${aws:username}` },
        { Resource: { 'Fn::Sub': `own/\${!aws:username}` } },
      ];
      const { resource: converted } = terraformModule(changed, 'skytools-dev')['main.tf.json'] as {
        resource: Resources;
      };
      const policy = JSON.parse(converted.aws_iam_role_policy!.SweepRole!.policy as string);
      // Two marks stand for one in a string of Terraform.
      expect(leaves(policy.Statement)).toEqual([`own/$\${aws:username}`, `own/$\${aws:username}`]);
    });
  });
}

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * `npm run test:terraform`, after `npm run terraform`: every argument of the module is one that the AWS provider has, of its
 * type, and none that it requires is missing. The provider's schema is that of its bindings for TypeScript on npm, which were
 * generated from it. No substitute for `terraform validate`, which needs the provider itself. `--install` only installs; exit
 * code 2 where npm has it not.
 */
const BINDINGS = '@cdktf/provider-aws@21.22.1';

/** Arguments newer than these bindings, which are of provider 6.25. */
const NEWER = new Set(['aws_lambda_permission.invoked_via_function_url']);

/** What Terraform itself reads in any resource. */
const META = new Set(['count', 'for_each', 'depends_on', 'lifecycle']);

const root = path.resolve(import.meta.dirname, '../..');
const directory = path.join(root, '.cache', 'terraform-provider-aws');
const complete = path.join(directory, 'complete');

async function install(): Promise<void> {
  if (existsSync(complete)) return;
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, 'package.json'), '{"private":true}');
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--legacy-peer-deps'];
  execFileSync('npm', ['install', '--prefix', directory, ...options, BINDINGS], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await writeFile(complete, '');
}

interface Argument {
  required: boolean;
  /** `string`, `number`, `string[]`, the name of a block and so on. */
  type: string;
}

type Blocks = Map<string, Map<string, Argument>>;

/** The blocks of a resource by the names of their interfaces; that of the resource itself is the one that ends in Config. */
function blocksOf(type: string): { blocks: Blocks; main: Map<string, Argument> } {
  const folder = type.replace(/^aws_/, '').replaceAll('_', '-');
  const file = path.join(directory, 'node_modules/@cdktf/provider-aws/lib', folder, 'index.d.ts');
  if (!existsSync(file)) throw new Error(`the provider has no ${type}`);
  const blocks: Blocks = new Map();
  let main: Map<string, Argument> | undefined;
  for (const [, name, meta, body] of readFileSync(file, 'utf8').matchAll(
    /^export interface (\w+)( extends cdktf\.TerraformMetaArguments)? \{\n(.*?)^\}/gms,
  )) {
    const found = new Map<string, Argument>();
    for (const [, argument, optional, shape] of body!.matchAll(
      /#(\w+) \w+#\w+\}(?:(?!\*\/).)*?\*\/\s*readonly \w+(\??): (\{[^}]*\}|[^;{]*)/gs,
    ))
      found.set(argument!, { required: optional === '', type: shape!.replace(' | cdktf.IResolvable', '') });
    blocks.set(name!, found);
    if (meta) main = found;
  }
  if (!main) throw new Error(`the arguments of ${type} were not found`);
  return { blocks, main };
}

const problems: string[] = [];

/** Compares a block of the module with that of the provider. */
function check(at: string, given: Record<string, unknown>, expected: Map<string, Argument>, blocks: Blocks) {
  const { dynamic = {}, ...rest } = given as { dynamic?: Record<string, { content: unknown }> };
  const all: Record<string, unknown> = {
    ...rest,
    ...Object.fromEntries(Object.entries(dynamic).map(([k, { content }]) => [k, content])),
  };
  for (const [name, { required }] of expected)
    if (required && all[name] === undefined) problems.push(`${at}: ${name} is required`);
  for (const [name, value] of Object.entries(all)) {
    const argument = expected.get(name);
    if (!argument) problems.push(`${at}: there is no ${name}`);
    else checkValue(`${at}.${name}`, value, argument.type, blocks);
  }
}

function checkValue(at: string, value: unknown, type: string, blocks: Blocks): void {
  const block = blocks.get(type.replace(/\[\]$/, ''));
  if (block) {
    if (Array.isArray(value) && !type.endsWith('[]')) problems.push(`${at}: at most one`);
    for (const each of [value].flat()) check(at, each as Record<string, unknown>, block, blocks);
  } else if (typeof value === 'string' && value.startsWith('${') && value.endsWith('}')) {
    // An expression, whose type only Terraform knows.
  } else if (type === 'string[]') {
    if (!Array.isArray(value) || value.some((each) => typeof each !== 'string'))
      problems.push(`${at}: not a list of strings`);
  } else if (type.startsWith('{')) {
    if (typeof value !== 'object') problems.push(`${at}: not a map`);
  } else if (typeof value !== type) problems.push(`${at}: not a ${type}`);
}

async function checkModule(): Promise<void> {
  const file = path.join(root, 'dist', 'terraform', 'main.tf.json');
  const { resource } = JSON.parse(await readFile(file, 'utf8')) as {
    resource: Record<string, Record<string, Record<string, unknown>>>;
  };
  let count = 0;
  for (const [type, named] of Object.entries(resource)) {
    const { blocks, main } = blocksOf(type);
    for (const [name, given] of Object.entries(named)) {
      const known = Object.entries(given).filter(([key]) => !META.has(key) && !NEWER.has(`${type}.${key}`));
      check(`${type}.${name}`, Object.fromEntries(known), main, blocks);
      count++;
    }
  }
  if (problems.length > 0)
    throw new Error(`the module is not as the provider wants it:\n${problems.join('\n')}`);
  console.log(`terraform: ${count} resources as ${BINDINGS} has them`);
}

try {
  await install();
} catch (error) {
  console.error(`${BINDINGS} cannot be installed from npm: ${(error as Error).message}`);
  process.exit(2);
}
if (!process.argv.includes('--install')) await checkModule();

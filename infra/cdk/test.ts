import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * `npm run test:cdk`, after `npm run package`: the construct, with the CDK from npm in .cache, type-checked, synthesized and
 * compared with the packaged template. `--install` only installs; exit code 2 where the CDK cannot be had.
 */
const CDK = { 'aws-cdk-lib': '2.276.0', constructs: '10.8.1' };

const root = path.resolve(import.meta.dirname, '../..');
const packaged = path.join(root, '.serverless');
const directory = path.join(root, '.cache', `cdk-${CDK['aws-cdk-lib']}`);
const complete = path.join(directory, 'complete');

async function install(): Promise<void> {
  if (existsSync(complete)) return;
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, 'package.json'), '{"private":true,"type":"module"}');
  const packages = Object.entries(CDK).map(([name, version]) => `${name}@${version}`);
  const options = ['--prefix', directory, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  execFileSync('npm', ['install', ...options, ...packages], { stdio: ['ignore', 'ignore', 'inherit'] });
  await writeFile(complete, '');
}

interface Synthesized {
  Resources: Record<string, { Type: string; Properties: Record<string, unknown> }>;
  Parameters: Record<string, { Default?: unknown }>;
  Conditions: object;
}

const read = async (file: string) => JSON.parse(await readFile(file, 'utf8')) as Synthesized;

async function test(): Promise<void> {
  // The construct finds the CDK from where it lies, as in an app.
  const construct = path.join(directory, 'skytools.ts');
  await copyFile(path.join(import.meta.dirname, 'skytools.ts'), construct);
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const strict = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--ignoreConfig'];
  const types = ['--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')];
  execFileSync(process.execPath, [tsc, ...strict, ...types, construct], { stdio: 'inherit', cwd: directory });

  const { App, Stack } = await import(
    pathToFileURL(path.join(directory, 'node_modules/aws-cdk-lib/index.js')).href
  );
  const { Skytools } = await import(pathToFileURL(construct).href);
  const app = new App({ outdir: path.join(directory, 'cdk.out') });
  const stack = new Stack(app, 'skytools-dev', { stackName: 'skytools-dev' });
  const subnetIds = ['subnet-0123456789abcdef0', 'subnet-0123456789abcdef1'];
  const securityGroupIds = ['sg-0123456789abcdef0'];
  new Skytools(stack, 'Skytools', { packaged, subnetIds, securityGroupIds, removedDays: 60 });
  const synthesized = app.synth().getStackByName('skytools-dev').template as Synthesized;

  const template = await read(path.join(packaged, 'cloudformation-template-update-stack.json'));
  const names = Object.keys(template.Resources).filter(
    (name) => !name.startsWith('ServerlessDeploymentBucket'),
  );
  const own = Object.keys(synthesized.Resources).filter((name) => name !== 'CDKMetadata');
  assert.deepEqual(own.sort(), names.sort());
  for (const name of names) {
    const { Code: expectedCode, ...expected } = template.Resources[name]!.Properties ?? {};
    const { Code: code, ...actual } = synthesized.Resources[name]!.Properties ?? {};
    const rest = (resource: object) => ({ ...resource, Properties: undefined, Metadata: undefined });
    assert.deepEqual(actual, expected, name);
    assert.deepEqual(rest(synthesized.Resources[name]!), rest(template.Resources[name]!), name);
    if (expectedCode) assert.match(JSON.stringify(code), /cdk-[^"]*assets.*\.zip/, name);
  }
  assert.deepEqual(synthesized.Conditions, template.Conditions);
  const given: Record<string, unknown> = {
    SubnetIds: subnetIds.join(','),
    SecurityGroupIds: securityGroupIds.join(','),
    RemovedDays: 60,
  };
  for (const [name, parameter] of Object.entries(template.Parameters)) {
    const expected = name in given ? { ...parameter, Default: given[name] } : parameter;
    assert.deepEqual(synthesized.Parameters[name], expected, name);
  }

  const capital = new Stack(new App(), 'Capital', { stackName: 'Capital' });
  assert.throws(() => new Skytools(capital, 'Skytools', { packaged }), /lower case/);
  console.log(`cdk: ${names.length} resources as in the packaged template`);
}

try {
  await install();
} catch (error) {
  console.error(`the CDK cannot be installed from npm: ${(error as Error).message}`);
  process.exit(2);
}
if (!process.argv.includes('--install')) await test();

import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type PackagedTemplate, terraformModule } from './module.ts';

/** `npm run terraform`, after `npm run package`: the packaged stack as a Terraform module in dist/terraform, with its functions' zip files. */
const root = path.resolve(import.meta.dirname, '../..');
const packaged = path.join(root, '.serverless');
const output = path.join(root, 'dist', 'terraform');

if (!existsSync(packaged)) {
  console.error('terraform: nothing is packaged yet: run `npm run package` first');
  process.exit(2);
}
const read = async (file: string) => JSON.parse(await readFile(path.join(packaged, file), 'utf8'));
const template = (await read('cloudformation-template-update-stack.json')) as PackagedTemplate;
const { service } = (await read('serverless-state.json')) as {
  service: { service: string; provider: { stage: string } };
};

await rm(output, { recursive: true, force: true });
await mkdir(path.join(output, 'functions'), { recursive: true });
const files = terraformModule(template, `${service.service}-${service.provider.stage}`);
for (const [name, content] of Object.entries(files))
  await writeFile(path.join(output, name), `${JSON.stringify(content, null, 2)}\n`);
for (const file of await readdir(packaged))
  if (file.endsWith('.zip')) await copyFile(path.join(packaged, file), path.join(output, 'functions', file));
console.log(`terraform: ${Object.keys(files).join(', ')} and the functions' zip files in ${output}`);

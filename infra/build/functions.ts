import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { packageVersion } from '../../lib/cli/version.ts';
import { withSmokeConsumers } from '../../lib/pgq/consumers/smoke.ts';
import { BUNDLED_CONFIG, type Config } from '../../lib/platform/config.ts';
import { loadConfigFile } from '../../lib/platform/config-file.ts';
import { requireReferences } from '../../lib/postgres/plain-secrets.ts';
import { clusterConfig } from '../../lib/walmgr/config.ts';
import { functions } from '../functions.ts';
import { consumerRights } from './consumer-rights.ts';
import { databaseRights } from './database-rights.ts';
import { RDS_ROOTS } from './rds-roots.ts';
import { slim } from './slim.ts';
import { composeSql } from './sql.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** pg is CommonJS and asks for node's modules with require(), which an ES module bundle has to be given. */
const REQUIRE = "import{createRequire as r}from'node:module';const require=r(import.meta.url);";

/** Loaded on demand and part of Lambda's own runtime; bundling them would double the size of every function. */
const IN_RUNTIME = [
  '@aws-sdk/client-eventbridge',
  '@aws-sdk/client-secrets-manager',
  '@aws-sdk/client-sns',
  '@aws-sdk/client-ssm',
];

/** Read by serverless.yml. */
const CONFIGURED_RIGHTS = 'configured-rights.json';

/** How every function is bundled. */
export const bundleOptions: BuildOptions = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  minify: true,
  keepNames: false,
  legalComments: 'none',
  mainFields: ['module', 'main'],
  banner: { js: REQUIRE },
  external: ['pg-native', ...IN_RUNTIME],
  define: { 'process.env.SKYTOOLS_VERSION': JSON.stringify(packageVersion()) },
  absWorkingDir: root,
  logLevel: 'warning',
  plugins: [slim],
};

/** Writes a file so that a function that is running sees the old one or the new one, whole. */
async function replaceFile(file: string, content: string | Uint8Array): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, content);
  await rename(partial, file);
}

/** Bundles one TypeScript file into one ES module. */
async function bundle(source: string, target: string): Promise<void> {
  const { outputFiles } = await build({
    ...bundleOptions,
    entryPoints: [source],
    outfile: target,
    write: false,
  });
  for (const file of outputFiles) await replaceFile(file.path, file.contents);
}

/** Modules of the user's own handlers, bundled beside the consume function by the consumer's name. */
async function bundleHandlers(config: Config, configFile: string, directory: string): Promise<void> {
  for (const [name, consumer] of Object.entries(config.consumers)) {
    if (consumer.kind !== 'handler') continue;
    const source = path.resolve(path.dirname(configFile), consumer.handler);
    await bundle(source, path.join(directory, 'handlers', `${name}.mjs`));
  }
}

/**
 * Builds every function into `output/<name>/index.mjs`, with the validated configuration beside it.
 *
 * @throws UsageError CONFIG_INVALID, CONFIG_SECRET_IN_PLAIN before anything is written
 */
export async function buildFunctions(configFile: string, output: string): Promise<void> {
  const config = await loadConfigFile(configFile);
  requireReferences(config);
  for (const name of Object.keys(config.walmgr)) clusterConfig(config, name);
  const bundled = JSON.stringify(withSmokeConsumers(config));
  for (const { name, connects } of functions) {
    const directory = path.join(output, name);
    if (connects) await replaceFile(path.join(directory, path.basename(RDS_ROOTS)), readFileSync(RDS_ROOTS));
    await replaceFile(path.join(directory, BUNDLED_CONFIG), bundled);
    await bundle(path.join(root, 'functions', `${name}.ts`), path.join(directory, 'index.mjs'));
  }
  await replaceFile(path.join(output, 'migrate', 'skytools.sql'), composeSql());
  await bundleHandlers(config, configFile, path.join(output, 'consume'));
  const rights = { Resources: { ...consumerRights(config), ...databaseRights(config) } };
  await replaceFile(path.join(output, CONFIGURED_RIGHTS), JSON.stringify(rights));
}

if (import.meta.main) {
  const configFile = process.env.SKYTOOLS_CONFIG ?? path.join(root, 'skytools.config.ts');
  if (!existsSync(configFile)) throw new Error(`no configuration at ${configFile}`);
  await buildFunctions(configFile, path.join(root, 'dist', 'functions'));
}

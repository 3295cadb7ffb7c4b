import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { RDS_ROOTS } from './rds-roots.ts';
import { buildWalCommand } from './wal-command.ts';

const root = path.resolve(import.meta.dirname, '../..');

/**
 * Builds the command line and the library into `output`: ES modules that share chunks and leave the packages in
 * package.json to node_modules. Commands stay separate chunks, so that `skytools --help` loads none of them. The recipes for
 * hosts without Node.js lie beside them, in `shell`.
 */
export async function buildProgram(output: string): Promise<void> {
  await mkdir(output, { recursive: true });
  await build({
    entryPoints: {
      index: path.join(root, 'lib/index.ts'),
      'cli/main': path.join(root, 'lib/cli/main.ts'),
      // The process of a function under the local runner: it is forked as a file beside the runner's own chunk.
      'chunks/child': path.join(root, 'lib/local/runner/child.ts'),
    },
    outdir: output,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node22',
    sourcemap: 'linked',
    logLevel: 'warning',
  });
  // Beside the chunk that reads them.
  await cp(RDS_ROOTS, path.join(output, 'chunks', path.basename(RDS_ROOTS)));
  await buildWalCommand(path.join(output, 'cli'));
  await cp(path.join(root, 'lib/walmgr/shell'), path.join(output, 'shell'), { recursive: true });
}

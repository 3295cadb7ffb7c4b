import { chmod, copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';

const root = path.resolve(import.meta.dirname, '../..');

/**
 * Builds what PostgreSQL calls for each segment into a directory of its own: the `skytools` script, and `wal.mjs` with
 * `wal push` and `wal fetch`. Nothing else is needed on a database host that only archives.
 *
 * @returns the path of the script
 */
export async function buildWalCommand(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  await build({
    entryPoints: [path.join(root, 'lib/walmgr/hot.ts')],
    outfile: path.join(directory, 'wal.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  const script = path.join(directory, 'skytools');
  await copyFile(path.join(root, 'lib/cli/skytools'), script);
  await chmod(script, 0o755);
  return script;
}

if (import.meta.main) await buildWalCommand(path.join(root, 'dist', 'bin'));

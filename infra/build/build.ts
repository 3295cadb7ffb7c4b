import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buildFunctions } from './functions.ts';
import { buildProgram } from './program.ts';
import { composeSql } from './sql.ts';

/** `npm run build`: dist/skytools.sql, the functions' bundles, the command line and the library. */
const root = path.resolve(import.meta.dirname, '../..');
const output = path.join(root, 'dist');

await mkdir(output, { recursive: true });
await writeFile(path.join(output, 'skytools.sql'), composeSql());
await Promise.all([
  buildFunctions(
    process.env.SKYTOOLS_CONFIG ?? path.join(root, 'skytools.config.ts'),
    path.join(output, 'functions'),
  ),
  buildProgram(output),
]);

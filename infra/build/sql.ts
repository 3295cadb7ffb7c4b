import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const sqlDirectory = path.join(root, 'sql');

/** The entries of an install list: one per line, `#` starts a comment. */
function readList(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
}

/** Schemas in the order in which they are installed (sql/install.txt). */
export function schemas(): string[] {
  return readList(path.join(sqlDirectory, 'install.txt'));
}

/** The SQL of one schema: its files in the order of its install.txt, each under a line that names it. */
export function composeSchema(schema: string): string {
  const directory = path.join(sqlDirectory, schema);
  return readList(path.join(directory, 'install.txt'))
    .map(
      (file) => `-- sql/${schema}/${file}\n${readFileSync(path.join(directory, file), 'utf8').trimEnd()}\n`,
    )
    .join('\n');
}

/** Every schema, as `dist/skytools.sql` holds it: plain SQL without transaction commands. */
export function composeSql(): string {
  return schemas().map(composeSchema).join('\n');
}

if (import.meta.main) {
  const target = path.join(root, 'dist', 'skytools.sql');
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, composeSql());
}

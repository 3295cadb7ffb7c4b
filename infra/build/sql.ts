import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { joinFiles, schemaFiles, schemasIn } from '../../lib/schema/compose.ts';

const root = path.resolve(import.meta.dirname, '../..');
const sqlDirectory = path.join(root, 'sql');

/** Schemas in the order in which they are installed (sql/install.txt). */
export const schemas = (): string[] => schemasIn(sqlDirectory);

/** The SQL of one schema: its files in the order of its install.txt, each under a line that names it. */
export const composeSchema = (schema: string): string => joinFiles(schemaFiles(sqlDirectory, schema));

/** Every schema, as `dist/skytools.sql` holds it: plain SQL without transaction commands. */
export const composeSql = (): string => schemas().map(composeSchema).join('\n');

if (import.meta.main) {
  const target = path.join(root, 'dist', 'skytools.sql');
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, composeSql());
}

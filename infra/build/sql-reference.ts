import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { schemaFiles, schemasIn } from '../../lib/schema/compose.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** Where the reference lies. */
export const SQL_REFERENCE = path.join(root, 'docs/reference/sql.md');

interface Entry {
  signature: string;
  text: string;
}

/** A block of comment lines directly before `create or replace function`. */
const HEADER = /((?:^--[^\n]*\n)+)create or replace function\s+([a-z_]+)\.([a-z0-9_]+)\s*\(/gim;

function entries(sql: string): Entry[] {
  return [...sql.matchAll(HEADER)]
    .filter(([, , , name]) => !name!.startsWith('_'))
    .map(([, comment]) => {
      const lines = comment!
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('-- sql/'))
        .map((line) => line.replace(/^-- ?/, ''));
      const blank = lines.indexOf('');
      const head = blank < 0 ? lines : lines.slice(0, blank);
      return {
        signature: head.join(' ').replace(/\s+/g, ' ').trim(),
        text: lines.slice(head.length).join('\n').trim(),
      };
    });
}

/** The reference of all public functions, from the header of each in `sql/`. */
export function sqlReference(): string {
  const sqlDirectory = path.join(root, 'sql');
  const parts = schemasIn(sqlDirectory).map((schema) => {
    const found = schemaFiles(sqlDirectory, schema).flatMap((file) => entries(file.text));
    if (found.length === 0) return '';
    const body = found.map(
      ({ signature, text }) => `### \`${signature}\`\n${text ? `\n\`\`\`text\n${text}\n\`\`\`\n` : ''}`,
    );
    return `## Schema ${schema}\n\n${body.join('\n')}`;
  });
  return `# SQL reference

Made by \`npm run docs\` from the header of each function in \`sql/\`. Functions whose name begins with an underscore are internal.

${parts.filter((part) => part !== '').join('\n')}`;
}

if (import.meta.main) await writeFile(SQL_REFERENCE, sqlReference());

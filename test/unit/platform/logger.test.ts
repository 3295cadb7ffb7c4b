import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../../..');

it('no error is logged without its code: all of them go through logError', () => {
  const files = globSync('{lib,functions}/**/*.ts', { cwd: root });
  expect(files.length).toBeGreaterThan(200);
  const direct = files.filter(
    (file) =>
      file !== path.join('lib', 'platform', 'logger.ts') &&
      readFileSync(path.join(root, file), 'utf8').includes('logger.error('),
  );
  expect(direct).toEqual([]);
});

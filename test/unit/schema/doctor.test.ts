import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../../..');

it('every check of doctor is explained in docs/reference/doctor.md', () => {
  const documented = readFileSync(path.join(root, 'docs/reference/doctor.md'), 'utf8');
  const directory = path.join(root, 'lib/schema/checks');
  const names = readdirSync(directory).flatMap((file) =>
    [
      ...readFileSync(path.join(directory, file), 'utf8').matchAll(/\b(?:ok|warning|fault)\(\s*'([a-z-]+)'/g),
    ].map((match) => match[1]!),
  );
  expect(names.length).toBeGreaterThan(15);
  for (const name of new Set(names)) expect(documented, name).toContain(`\`${name}\``);
});

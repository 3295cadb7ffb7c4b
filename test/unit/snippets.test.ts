import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { defineConfig, parseConfig } from '../../lib/platform/config-file.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** The configurations that the documentation shows, as TypeScript that needs no types. */
const configurations = ['README.md', ...globSync('docs/**/*.md', { cwd: root })].flatMap((document) =>
  [...readFileSync(path.join(root, document), 'utf8').matchAll(/^```ts\n(.*?)^```/gms)]
    .map(([, code]) => code!)
    .filter((code) => code.includes('export default defineConfig('))
    .map((code) => ({ document, code })),
);

it.each(configurations)('a configuration shown in $document is accepted', ({ code }) => {
  const body = code.replace(/^import .*$/gm, '').replace('export default', 'return');
  expect(() => parseConfig(new Function('defineConfig', body)(defineConfig))).not.toThrow();
});

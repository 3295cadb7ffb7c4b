import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const documents = ['README.md', 'CHANGELOG.md', ...globSync('docs/**/*.md', { cwd: root })];

/** The anchor that a heading gets. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-');

it.each(documents)('every link of %s leads somewhere', (document) => {
  const text = readFileSync(path.join(root, document), 'utf8');
  for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link!)) continue;
    const [file, heading] = link!.split('#') as [string, string?];
    const target = file === '' ? path.join(root, document) : path.join(root, path.dirname(document), file);
    expect(existsSync(target), link).toBe(true);
    if (heading === undefined) continue;
    const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ +(.*)$/gm)].map((match) =>
      anchor(match[1]!),
    );
    expect(headings, link).toContain(heading);
  }
});

it('every test that test/README.md promises exists', () => {
  const text = readFileSync(path.join(root, 'test/README.md'), 'utf8');
  const promised = [...text.matchAll(/`([\w/.-]+\.test\.ts)`: (.+?) \|$/gm)];
  expect(promised.length).toBeGreaterThan(20);
  for (const [, file, name] of promised) {
    const source = readFileSync(path.join(root, 'test', file!), 'utf8');
    expect(source.includes(name!), `${file}: ${name}`).toBe(true);
  }
});

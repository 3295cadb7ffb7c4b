import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { skytools } from '../../support/cli.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const LIBRARY = pathToFileURL(path.join(ROOT, 'lib/index.ts')).href;

interface Block {
  language: string;
  text: string;
}

/** The blocks of a guide in their order. */
const blocksOf = (guide: string): Block[] =>
  [...readFileSync(path.join(ROOT, 'docs/guides', guide), 'utf8').matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(
    ([, language, text]) => ({ language: language!, text: text! }),
  );

/** The words of a command of the shell. */
const words = (line: string) =>
  [...line.matchAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\S+/g)].map(
    ([word, single, double]) => single ?? double?.replaceAll(/\\(.)/g, '$1') ?? word,
  );

/** Runs a guide's commands of this program and of psql; what writes files (test/unit/cli/new.test.ts) or needs AWS is left out. */
async function runShell(text: string, config: string, databases: Record<string, TestDatabase>) {
  for (const line of text.split('\n').filter((each) => /^(npx skytools (?!new )|psql )/.test(each))) {
    const [program, ...rest] = words(line.replace(/\s+# .*$/, ''));
    if (program === 'psql') {
      const database = databases[rest[0]!.replace(/^\$(\w+)_URL$/, (_, name: string) => name.toLowerCase())]!;
      await database.query(rest[2]!);
      continue;
    }
    const result = await skytools([...rest.slice(1), '--config', config]);
    expect(result.code, `${line}\n${result.stderr}`).toBe(0);
  }
}

/** Tables that the guides speak of as the reader's own. */
const GIVEN = [
  'create table customers (id int primary key, name text)',
  'create table orders (id bigint primary key, status text, placed_at timestamptz not null default now())',
  'create table stock (item text primary key, n int)',
];

const GUIDES = ['http', 's3-archive', 'aws', 'splitting', 'loading', 'handler'];

test('the configurations, commands and tables of the guides to consumers are taken as they stand', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'skytools-guide-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const [shop, stats] = [await testDatabase(), await testDatabase()];
  for (const table of GIVEN) await shop.query(table);
  for (const schema of ['shop', 'web']) await stats.query(`create schema ${schema}`);
  for (const guide of GUIDES) {
    let config = '';
    for (const [at, { language, text }] of blocksOf(`${guide}.md`).entries()) {
      if (language === 'ts') {
        config = path.join(directory, `${guide}-${at}.ts`);
        const module = text
          .replace("'skytools'", `'${LIBRARY}'`)
          .replace("'env:SHOP_URL'", `'${shop.url}'`)
          .replace("'env:STATS_URL'", `'${stats.url}'`);
        writeFileSync(config, module);
      }
      if (language === 'sh') await runShell(text, config, { shop, stats });
      if (language === 'sql' && guide === 'loading') await stats.query(text);
    }
  }
});

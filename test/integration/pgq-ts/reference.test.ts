import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { testDatabase } from '../../support/postgres.ts';

it('the examples of the TypeScript reference run as they stand', async () => {
  const text = readFileSync('docs/reference/typescript.md', 'utf8');
  const code = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]).join('\n');
  const db = await testDatabase();
  const url = db.url;
  const source = `const url = ${JSON.stringify(url)};\n${code.replaceAll("from 'skytools'", "from '../../../lib/index.ts'")}`;
  const file = path.join(import.meta.dirname, `reference.${process.pid}.tmp.ts`);
  await writeFile(file, source);
  try {
    await import(file);
  } finally {
    await rm(file);
  }
  expect(await db.query('select id::int from sent order by id')).toEqual([{ id: 1 }, { id: 2 }]);
  expect(await db.query('select ev_id::int from pgq.retry_queue')).toEqual([{ ev_id: 3 }]);
});

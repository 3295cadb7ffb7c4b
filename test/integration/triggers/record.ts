// Records what the C extension does with each case, into golden.json, or compares with --check:
//   node test/integration/triggers/record.ts postgres://postgres@host/database_with_the_pgq_extension [--check]
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import { cases } from './cases.ts';
import { type Outcome, traceCase } from './trace.ts';

const file = path.join(import.meta.dirname, 'golden.json');
const [url, mode] = process.argv.slice(2);
if (url === undefined) throw new Error('usage: record.ts URL [--check]');

const client = new pg.Client({ connectionString: url });
await client.connect();
const recorded: Record<string, Outcome[]> = {};
for (const one of cases) recorded[one.name] = await traceCase(client, one);
await client.end();

if (mode === '--check') {
  const golden = JSON.parse(readFileSync(file, 'utf8')) as Record<string, Outcome[]>;
  const changed = cases.filter(({ name }) => !isDeepStrictEqual(golden[name], recorded[name]));
  console.log(
    changed.length === 0 ? 'no difference' : changed.map(({ name }) => `differs: ${name}`).join('\n'),
  );
  process.exitCode = changed.length === 0 ? 0 : 1;
} else {
  const lines = Object.entries(recorded).map(
    ([name, outcomes]) =>
      `${JSON.stringify(name)}: [\n${outcomes.map((outcome) => `  ${JSON.stringify(outcome)}`).join(',\n')}\n]`,
  );
  writeFileSync(file, `{\n${lines.join(',\n')}\n}\n`);
}

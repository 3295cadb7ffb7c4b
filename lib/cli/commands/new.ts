import { Option } from 'commander';
import type { ConsumerConfig } from '../../platform/config.ts';
import { UsageError } from '../../platform/errors.ts';
import type { Cli } from '../cli.ts';
import { STARTER_TARGET, STARTERS } from './starters.ts';

interface NewFlags {
  kind: ConsumerConfig['kind'];
  queue?: string;
  directory: string;
  dryRun?: boolean;
}

/** File names: letters, digits and what separates them. */
const NAME = /^[a-z][a-z0-9_-]*$/;

const handlerText = (name: string) => `import type { HandlerContext, PgqEvent } from 'skytools';

/**
 * Handles one event of consumer \`${name}\`. What it writes through \`client\` commits together with the batch: exactly once.
 * Effects elsewhere may come twice, so make them repeatable. An error rolls the batch back, and it comes again.
 */
export async function handleEvent(event: PgqEvent, { client }: HandlerContext): Promise<void> {
  if (event.data === null) return;
  if (event.type === 'later') {
    event.retry(60);
    return;
  }
  await client.query('select $1::text', [event.data]);
}
`;

const testText = (name: string) => `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deadline, type HandlerContext, PgqEvent } from 'skytools';
import { handleEvent } from './${name}.ts';

const queries: unknown[][] = [];
const context = {
  client: { query: async (_text: string, values: unknown[]) => void queries.push(values) },
  deadline: Deadline.never(),
} as unknown as HandlerContext;

test('${name} handles an event', async () => {
  const row = ['1', '2026-01-01 00:00:00+00', '1000', null, 'placed', '{"id":7}', null, null, null, null] as const;
  await handleEvent(new PgqEvent(row, new Map()), context);
  assert.deepEqual(queries, [['{"id":7}']]);
});

test('${name} asks for an event again', async () => {
  const retries = new Map();
  const row = ['2', '2026-01-01 00:00:00+00', '1001', null, 'later', 'x', null, null, null, null] as const;
  await handleEvent(new PgqEvent(row, retries), context);
  assert.deepEqual([...retries], [[2n, 60]]);
});
`;

/** A name as a key of an object. */
const keyText = (name: string) => (/^[a-z_]\w*$/.test(name) ? name : `'${name}'`);

/** A name as a variable: `order-mailer` is `orderMailer`. */
const variableOf = (name: string) => name.replace(/[-_]+(\w?)/g, (_, next: string) => next.toUpperCase());

/** A value as TypeScript in the style of this project. */
function valueText(value: unknown, indent: string): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value !== 'object' || value === null) return String(value);
  const inner = Object.entries(value).map(
    ([key, item]) => `${indent}  ${keyText(key)}: ${valueText(item, `${indent}  `)},\n`,
  );
  return `{\n${inner.join('')}${indent}}`;
}

function settingsText(kind: keyof typeof STARTERS, name: string, database: string, queue: string): string {
  const { does, guide, settings } = STARTERS[kind];
  const secret = `${name.toUpperCase().replaceAll('-', '_')}_SECRET`;
  const values = { kind, database, queue, ...settings(secret) };
  return `import type { ConsumerInput } from 'skytools';

/** ${does} All its keys: docs/guides/${guide}.md. */
export const ${variableOf(name)} = ${valueText(values, '')} satisfies ConsumerInput;
`;
}

const settingsTestText = (name: string, database: string) => `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from 'skytools';
import { ${variableOf(name)} } from './${name}.ts';

test('the configuration of ${name} is accepted', () => {
  const { consumers } = parseConfig({
    databases: { ${[...new Set([database, STARTER_TARGET])].map((each) => `${keyText(each)}: { url: 'env:URL' }`).join(', ')} },
    consumers: { '${name}': ${variableOf(name)} },
  });
  assert.equal(consumers['${name}']?.kind, ${variableOf(name)}.kind);
});
`;

const configText = (name: string, value: string) => `  consumers: {
    ${keyText(name)}: ${value},
  },
`;

export function registerNewCommand(cli: Cli): void {
  const group = cli.group('new', 'write a starter');
  cli.action<NewFlags>(
    group
      .command('consumer')
      .description('write a consumer and its test, and print what to add to the configuration')
      .argument('<name>', 'lower case letters, digits, - and _')
      .addOption(
        new Option('--kind <kind>', `handler, or ready-made: ${Object.keys(STARTERS).join(', ')}`)
          .choices(['handler', ...Object.keys(STARTERS)])
          .default('handler'),
      )
      .option('--queue <queue>', 'queue that it consumes (default: its name)')
      .option('--directory <dir>', 'where the files go', 'consumers')
      .option('--dry-run', 'print the files; write nothing'),
    [
      ['skytools new consumer mailer --queue orders', 'consumers/mailer.ts and consumers/mailer.test.ts'],
      ['node --test consumers/mailer.test.ts', 'runs its test'],
      ['skytools new consumer crm --kind http --queue orders', 'a ready-made consumer: its configuration'],
    ],
    async (context, [name], options) => {
      if (!NAME.test(name!)) {
        throw new UsageError('CLI_BAD_NAME', `"${name}" cannot name a file`, {
          hint: 'lower case letters, digits, - and _, starting with a letter',
        });
      }
      const [{ mkdir, writeFile }, path] = await Promise.all([
        import('node:fs/promises'),
        import('node:path'),
      ]);
      const { kind } = options;
      const database = context.options.database ?? 'app';
      const queue = options.queue ?? name!;
      const [text, test] =
        kind === 'handler'
          ? [handlerText(name!), testText(name!)]
          : [settingsText(kind, name!, database, queue), settingsTestText(name!, database)];
      const files = {
        [path.join(options.directory, `${name}.ts`)]: text,
        [path.join(options.directory, `${name}.test.ts`)]: test,
      };
      for (const [file, text] of Object.entries(files)) {
        if (options.dryRun) {
          context.write(`// ${file}\n${text}\n`);
          continue;
        }
        await mkdir(options.directory, { recursive: true });
        try {
          await writeFile(file, text, { flag: 'wx' });
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
          throw new UsageError('CLI_FILE_EXISTS', `${file} exists`, {
            subject: { file },
            hint: 'choose another name',
          });
        }
      }
      const file = `./${path.posix.join(options.directory, `${name}.ts`)}`;
      const snippet =
        kind === 'handler'
          ? configText(
              name!,
              `{ kind: 'handler', database: '${database}', queue: '${queue}', handler: '${file}' }`,
            )
          : `import { ${variableOf(name!)} } from '${file}';\n\n${configText(name!, variableOf(name!))}`;
      if (!options.dryRun)
        context.note(`written: ${Object.keys(files).join(', ')}; add to ${context.options.config}:`);
      if (context.json) await context.done({ files: Object.keys(files), config: snippet }, '');
      else context.write(snippet);
    },
  );
}

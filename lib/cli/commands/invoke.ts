import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import { type Cli, wholeNumber } from '../cli.ts';
import type { CommandContext } from '../context.ts';

type Handler = (event: unknown, context: object) => Promise<unknown>;

interface InvokeFlags {
  event?: string;
  timeout: number;
}

export function registerInvokeCommand(cli: Cli): void {
  cli.action<InvokeFlags>(
    cli.program
      .command('invoke')
      .description('run a function once in this process, built or from its source, as Lambda would')
      .argument('<function>', 'sweep, tick, maintain, consume …')
      .option(
        '--event <file>',
        'the event as JSON, or one job message, which is wrapped in an SQS event; - reads stdin',
      )
      .option('--timeout <seconds>', "the function's time-out", wholeNumber, 60),
    [
      [
        'skytools invoke tick --event tick.json',
        'where tick.json is {"v":1,"kind":"tick","database":"shop"}',
      ],
      ['skytools invoke sweep', 'a scheduled function needs no event'],
    ],
    async (context, [name], options) => {
      const event = asEvent(await readEvent(context, options.event));
      const local = await writeConfig(context);
      const previous = setEnvironment({
        SKYTOOLS_CONFIG_FILE: local.config,
        SKYTOOLS_HANDLERS: local.handlers,
      });
      try {
        const handler = await loadHandler(name!);
        const result = await withLogsOnStderr(context, () =>
          handler(event, lambdaContext(name!, options.timeout)),
        ).catch((error) => {
          throw ownError(error);
        });
        const { toJson } = await import('../output.ts');
        context.write(`${toJson(result ?? null)}\n`);
        const failures = (result as { batchItemFailures?: unknown[] } | undefined)?.batchItemFailures;
        return failures && failures.length > 0 ? 1 : 0;
      } finally {
        setEnvironment(previous);
        await local.remove();
      }
    },
  );
}

/** Sets variables, or takes away those that are undefined. Returns what they were. */
function setEnvironment(variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const before: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(variables)) {
    before[name] = process.env[name];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  return before;
}

async function readEvent(context: CommandContext, file: string | undefined): Promise<unknown> {
  if (file === undefined) return { source: 'skytools.cli', time: new Date().toISOString() };
  const { readFile } = await import('node:fs/promises');
  const { text } = await import('node:stream/consumers');
  try {
    return JSON.parse(file === '-' ? await text(context.io.stdin) : await readFile(file, 'utf8'));
  } catch (error) {
    throw new UsageError('CLI_BAD_EVENT', `cannot read the event in ${file}`, {
      cause: error,
      subject: { file },
      hint: 'give a file that holds one JSON document',
    });
  }
}

/** A job message becomes the body of an SQS event with one record. */
function asEvent(document: unknown): unknown {
  if (typeof document !== 'object' || document === null || !('kind' in document)) return document;
  return {
    Records: [
      {
        messageId: 'cli',
        receiptHandle: 'cli',
        body: JSON.stringify(document),
        attributes: { ApproximateReceiveCount: '1' },
        messageAttributes: {},
        eventSource: 'aws:sqs',
      },
    ],
  };
}

/**
 * The functions read their configuration as the build writes it: validated JSON, and a directory with the handlers. These lead to
 * their sources, so that nothing has to be built.
 */
async function writeConfig(
  context: CommandContext,
): Promise<{ config: string; handlers: string; remove: () => Promise<void> }> {
  const [{ mkdir, mkdtemp, rm, writeFile }, { tmpdir }, { dirname, join, resolve }, { pathToFileURL }] =
    await Promise.all([
      import('node:fs/promises'),
      import('node:os'),
      import('node:path'),
      import('node:url'),
    ]);
  const { handlerFile } = await import('../../pgq/consumers/bundled-handler.ts');
  const config = await context.config();
  const directory = await mkdtemp(join(tmpdir(), 'skytools-invoke-'));
  const files = { config: join(directory, 'config.json'), handlers: join(directory, 'handlers') };
  await writeFile(files.config, JSON.stringify(config), { mode: 0o600 });
  await mkdir(files.handlers);
  for (const [name, consumer] of Object.entries(config.consumers)) {
    if (consumer.kind !== 'handler') continue;
    const source = pathToFileURL(resolve(dirname(context.options.config), consumer.handler)).href;
    await writeFile(join(files.handlers, handlerFile(name)), `export * from ${JSON.stringify(source)};\n`);
  }
  return { ...files, remove: () => rm(directory, { recursive: true, force: true }) };
}

async function loadHandler(name: string): Promise<Handler> {
  if (!/^[a-z][a-z0-9-]*$/.test(name)) throw unknownFunction(name);
  const { existsSync } = await import('node:fs');
  const { join } = await import('node:path');
  const { pathToFileURL } = await import('node:url');
  const { packageDirectory } = await import('../version.ts');
  const root = packageDirectory();
  const source = join(root, 'functions', `${name}.ts`);
  const built = ['mjs', 'js'].map((ending) => join(root, 'dist', 'functions', name, `index.${ending}`));
  const file = [...(import.meta.url.endsWith('.ts') ? [source] : []), ...built, source].find((path) =>
    existsSync(path),
  );
  if (file === undefined) throw unknownFunction(name);
  const module = (await import(pathToFileURL(file).href)) as { handler?: Handler };
  if (typeof module.handler === 'function') return module.handler;
  throw new SkytoolsError('CLI_NO_HANDLER', `${name} exports no handler`, { subject: { file } });
}

const unknownFunction = (name: string) =>
  new UsageError('CLI_UNKNOWN_FUNCTION', `there is no function "${name}"`, {
    hint: 'run `npm run build` if it is new; docs/reference lists the functions',
  });

/** A built function carries the error classes of its own bundle: its errors become those that this program knows. */
function ownError(error: unknown): unknown {
  if (error instanceof SkytoolsError || !(error instanceof Error) || !('toJSON' in error)) return error;
  const { name, message, code, hint, subject } = error as SkytoolsError;
  const Kind = name === 'UsageError' ? UsageError : SkytoolsError;
  return new Kind(code, message, { subject, cause: error, ...(hint === undefined ? {} : { hint }) });
}

/** What a handler reads of Lambda's context. */
function lambdaContext(name: string, timeoutSeconds: number): object {
  const end = Date.now() + timeoutSeconds * 1000;
  return {
    awsRequestId: crypto.randomUUID(),
    functionName: name,
    functionVersion: '$LATEST',
    invokedFunctionArn: `arn:aws:lambda:local:000000000000:function:${name}`,
    memoryLimitInMB: '512',
    getRemainingTimeInMillis: () => Math.max(0, end - Date.now()),
  };
}

/** The functions log to stdout, which belongs to the result here. */
async function withLogsOnStderr<T>(context: CommandContext, body: () => Promise<T>): Promise<T> {
  const original = process.stdout.write;
  process.stdout.write = ((chunk: string | Uint8Array, ...rest: never[]) =>
    context.options.quiet ? true : process.stderr.write(chunk, ...rest)) as typeof process.stdout.write;
  try {
    return await body();
  } finally {
    process.stdout.write = original;
  }
}

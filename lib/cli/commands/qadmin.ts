import { errorMessage, UsageError } from '../../platform/errors.ts';
import type { Cli } from '../cli.ts';
import type { CommandContext } from '../context.ts';

interface QadminFlags {
  host?: string;
  port?: string;
  user?: string;
  dbname?: string;
  queue?: string;
  command?: string;
  file?: string;
}

export function registerQadminCommand(cli: Cli): void {
  cli.action<QadminFlags>(
    cli.program
      .command('qadmin')
      .description('the PgQ console: interactive, or statements from -c, a file or the standard input')
      .helpOption('--help', 'display help for command')
      .argument('[connstr]', 'connect string, if it contains "=", else a database name')
      .option('-h, --host <host>', 'server')
      .option('-p, --port <port>', 'port')
      .option('-U, --user <user>', 'user')
      .option('-d, --dbname <dbname>', 'database')
      .option('-Q, --queue <queue>', 'default queue')
      .option('-c, --command <statements>', 'run these statements and end')
      .option('-f, --file <file>', 'run the statements of a file and end'),
    [
      ['skytools qadmin -d shop -Q orders', 'interactive; show help; lists the commands'],
      ['skytools qadmin -d shop -c "show queue *; show consumer *;"', 'two statements'],
      ['skytools qadmin -d shop < queues.qadmin', 'a script; the first error ends it'],
    ],
    async (context, [positional], options) => {
      if (options.command !== undefined && options.file !== undefined) {
        throw new UsageError('QADMIN_TWO_SOURCES', 'cannot handle -c and -f together', {
          hint: 'give one of them',
        });
      }
      const script = await scriptOf(context, options);
      const [{ QadminSession }, { runConsole, runScript }] = await Promise.all([
        import('../qadmin/session.ts'),
        import('../qadmin/console.ts'),
      ]);
      const session = new QadminSession(
        await target(context, positional, options),
        options.queue,
        context.io.env,
      );
      await session.open();
      try {
        if (script === undefined) await runConsole(session, context.io);
        else await runScript(session, script, (text) => context.write(text));
      } finally {
        await session.close();
      }
    },
    { endsItself: true },
  );
}

/** The statements to be run, or undefined where somebody types them. */
async function scriptOf({ io }: CommandContext, { command, file }: QadminFlags): Promise<string | undefined> {
  if (command !== undefined) return `${command};`;
  if (file !== undefined) {
    const { readFile } = await import('node:fs/promises');
    return readFile(file, 'utf8').catch((error) => {
      throw new UsageError('QADMIN_FILE', `cannot read the statements: ${errorMessage(error)}`, {
        subject: { file },
        hint: 'check the path given with -f',
      });
    });
  }
  if (io.stdin.isTTY) return undefined;
  const { text } = await import('node:stream/consumers');
  return text(io.stdin);
}

/** qadmin's own options first; without any, the database that every other command would use. */
async function target(context: CommandContext, positional: string | undefined, options: QadminFlags) {
  const { parseTarget } = await import('../../postgres/target.ts');
  const { host, port, user, dbname } = options;
  const parts = Object.entries({ host, port, user, dbname }).filter(([, value]) => value !== undefined);
  if (positional === undefined && parts.length === 0) return (await context.target()).target;
  const quoted = parts.map(([key, value]) => `${key}='${value!.replace(/['\\]/g, '\\$&')}'`);
  if (positional !== undefined) {
    const isConnstr = positional.includes('=') || /^postgres(ql)?:\/\//.test(positional);
    if (isConnstr && quoted.length === 0) return parseTarget(positional, context.io.env);
    quoted.push(isConnstr ? positional : `dbname='${positional.replace(/['\\]/g, '\\$&')}'`);
  }
  return parseTarget(quoted.join(' '), context.io.env);
}

import { UsageError } from '../../platform/errors.ts';
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
      .description('the PgQ console: interactive, or statements from -c or a file')
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
    ],
    async (context, [positional], options) => {
      if (options.command !== undefined && options.file !== undefined) {
        throw new UsageError('QADMIN_TWO_SOURCES', 'cannot handle -c and -f together', {
          hint: 'give one of them',
        });
      }
      const [{ QadminSession }, { runConsole, runScript }, { readFile }] = await Promise.all([
        import('../qadmin/session.ts'),
        import('../qadmin/console.ts'),
        import('node:fs/promises'),
      ]);
      const session = new QadminSession(
        await target(context, positional, options),
        options.queue,
        context.io.env,
      );
      await session.open();
      try {
        const write = (text: string) => context.write(text);
        if (options.command !== undefined) await runScript(session, `${options.command};`, write);
        else if (options.file !== undefined)
          await runScript(session, await readFile(options.file, 'utf8'), write);
        else await runConsole(session, context.io);
      } finally {
        await session.close();
      }
    },
    { endsItself: true },
  );
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

import { Cli, createCommand } from './cli.ts';
import { registerCompletionCommand } from './commands/completion.ts';
import { registerConsumerCommands } from './commands/consumer.ts';
import { registerCopyCommands } from './commands/copy/register.ts';
import { registerCostCommand } from './commands/cost.ts';
import { registerDeadCommands } from './commands/dead.ts';
import { registerDoctorCommand } from './commands/doctor.ts';
import { registerEventCommands } from './commands/event.ts';
import { registerInstallCommands } from './commands/install.ts';
import { registerInvokeCommand } from './commands/invoke.ts';
import { registerLocalCommand } from './commands/local.ts';
import { registerLondisteCommands } from './commands/londiste/register.ts';
import { registerNewCommand } from './commands/new.ts';
import { registerQadminCommand } from './commands/qadmin.ts';
import { registerQueueCommands } from './commands/queue.ts';
import { registerSmokeCommand } from './commands/smoke/register.ts';
import { registerStatusCommand } from './commands/status.ts';
import { registerTopCommand } from './commands/top.ts';
import { registerTriggerCommands } from './commands/trigger.ts';
import { registerWalCommands } from './commands/wal/register.ts';
import type { ExitCode } from './exit.ts';
import type { Io } from './io.ts';
import { packageVersion } from './version.ts';

/** The file that holds the configuration unless --config names another. */
const DEFAULT_CONFIG = 'skytools.config.ts';

/** Commands in the order of the help. */
const REGISTER = [
  registerInstallCommands,
  registerDoctorCommand,
  registerStatusCommand,
  registerTopCommand,
  registerQueueCommands,
  registerConsumerCommands,
  registerEventCommands,
  registerDeadCommands,
  registerTriggerCommands,
  registerQadminCommand,
  registerLondisteCommands,
  registerCopyCommands,
  registerWalCommands,
  registerNewCommand,
  registerInvokeCommand,
  registerSmokeCommand,
  registerCostCommand,
  registerLocalCommand,
  registerCompletionCommand,
];

/** The whole command tree. */
export function createProgram(io: Io): Cli {
  const program = createCommand(io);
  program
    .name('skytools')
    .description(
      'PgQ queues, Londiste replication and WAL archiving for PostgreSQL, as short-lived functions',
    )
    .usage('[options] <command>')
    .version(packageVersion(), '--version', 'print the version')
    .option('--config <file>', 'configuration file', DEFAULT_CONFIG)
    .option('--database <name>', 'database, by its name in the configuration')
    .option('--url <url>', 'database, as a postgres:// URL or a libpq connect string')
    .option('--json', 'print data and errors as JSON (int8 values as strings)')
    .option('--quiet', 'print data and errors only')
    .option('--no-color', 'no colours (NO_COLOR=1 does the same)')
    .addHelpText(
      'after',
      `
Without --database and --url, libpq's PGHOST, PGSERVICE and the like name the database, else the only one configured.
Exit codes: 0 ok, 1 fault, 2 usage, 3 unhealthy.`,
    );
  const cli = new Cli(program, io);
  for (const register of REGISTER) register(cli);
  return cli;
}

/** Runs one command line. */
export async function runCommandLine(
  argv: readonly string[],
  io: Io,
  onInterrupt?: (interrupt: () => boolean) => void,
): Promise<ExitCode> {
  const cli = createProgram(io);
  onInterrupt?.(() => cli.interrupt());
  if (argv.length === 0) {
    io.stderr.write(cli.program.helpInformation());
    return 2;
  }
  return cli.run(argv);
}

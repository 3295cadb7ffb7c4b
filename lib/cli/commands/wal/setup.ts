import { type Command, Option } from 'commander';
import type { SettingsPlan } from '../../../walmgr/setup/server.ts';
import { type Cli, wholeNumber } from '../../cli.ts';
import type { CommandContext } from '../../context.ts';
import { locationOf, type SourceOptions, sourceText, withSourceOptions } from './archive.ts';

interface WayOptions extends SourceOptions {
  by: 'push' | 'pull';
  slot: string;
  dryRun?: boolean;
  yes?: boolean;
}

interface SetupOptions extends WayOptions {
  command: string;
  archiveTimeout: number;
  replace?: boolean;
}

function withWay(command: Command): Command {
  return withSourceOptions(command)
    .addOption(
      new Option('--by <way>', 'archive_command on its host, or a replication slot')
        .choices(['push', 'pull'])
        .default('push'),
    )
    .option('--slot <name>', 'replication slot of pull', 'skytools_archive')
    .option('--dry-run', 'show the statements, run none')
    .option('--yes', 'do not ask');
}

/** Switching the archiving of a server on and off. */
export function registerSetupCommands(cli: Cli, wal: Command): void {
  cli.action(
    withWay(
      wal
        .command('setup')
        .description('try the store, begin the archive, and set the server up for push or pull')
        .option('--command <command>', 'how PostgreSQL starts skytools', 'skytools')
        .option('--archive-timeout <seconds>', 'for push: a segment is archived so often', wholeNumber, 60)
        .option('--replace', 'take the place of another archive_command'),
    ),
    [
      [
        'skytools wal setup --archive s3://backups/main --source postgres://postgres@localhost/postgres --dry-run',
        'what push needs',
      ],
      ['skytools wal setup --cluster main --by pull', 'the slot of a configured cluster'],
    ],
    async (context, _args, options: SetupOptions) => {
      const [{ probeStore }, { WalArchive }, server, { ObjectStore }, { clientOptions }] = await Promise.all([
        import('../../../walmgr/setup/probe.ts'),
        import('../../../walmgr/archive/archive.ts'),
        import('../../../walmgr/setup/server.ts'),
        import('../../../walmgr/s3/store.ts'),
        import('../../../walmgr/archive/location.ts'),
      ]);
      const location = await locationOf(context, options);
      const client = await connectSource(context, options);
      const url = `s3://${location.bucket}/${location.prefix}`;
      const plan = await server.planSetup(
        client,
        options.by === 'pull'
          ? { by: 'pull', slot: options.slot }
          : {
              by: 'push',
              archiveCommand: `${options.command} wal push --archive ${url} %p`,
              timeoutSeconds: options.archiveTimeout,
            },
        { replace: options.replace === true },
      );
      if (options.dryRun) return showPlan(context, plan);
      await confirmPlan(context, plan, options.yes);
      const store = new ObjectStore(clientOptions(location));
      try {
        await probeStore(store, location);
        await WalArchive.claim(location, await server.serverIdentity(client), { store });
      } finally {
        store.close();
      }
      await apply(context, plan, client, `the archive ${url} is ready`);
    },
  );

  cli.action(
    withWay(wal.command('stop').description('end the archiving of a server; what is in the archive stays')),
    [['skytools wal stop --source postgres://postgres@localhost/postgres', 'ends push']],
    async (context, _args, options: WayOptions) => {
      const { planStop } = await import('../../../walmgr/setup/server.ts');
      const client = await connectSource(context, options);
      const plan = await planStop(client, options.by === 'pull' ? { slot: options.slot } : 'push');
      if (options.dryRun) return showPlan(context, plan);
      await confirmPlan(context, plan, options.yes);
      await apply(context, plan, client, 'archiving has ended');
    },
  );
}

async function connectSource(context: CommandContext, options: SourceOptions) {
  const { parseTarget } = await import('../../../postgres/target.ts');
  const target = parseTarget(await sourceText(context, options), context.io.env);
  return context.connect({ name: target.database, target });
}

async function showPlan(context: CommandContext, plan: SettingsPlan): Promise<void> {
  if (context.json) return context.record(plan, []);
  context.write(plan.statements.map((statement) => `${statement};\n`).join(''));
  explain(context, plan);
}

function explain(context: CommandContext, plan: SettingsPlan): void {
  for (const note of plan.notes) context.note(`note: ${note}`);
  if (plan.needsRestart.length > 0) {
    context.warn(`restart the server: nothing else changes ${plan.needsRestart.join(', ')}`);
  }
}

async function confirmPlan(
  context: CommandContext,
  plan: SettingsPlan,
  yes: boolean | undefined,
): Promise<void> {
  if (plan.statements.length === 0) return;
  if (!context.json) context.note(plan.statements.map((statement) => `  ${statement};`).join('\n'));
  await context.confirm('Run these statements on the server?', yes);
}

async function apply(
  context: CommandContext,
  plan: SettingsPlan,
  client: Awaited<ReturnType<typeof connectSource>>,
  success: string,
): Promise<void> {
  const { applyPlan } = await import('../../../walmgr/setup/server.ts');
  await applyPlan(client, plan);
  explain(context, plan);
  await context.done(plan, success);
}

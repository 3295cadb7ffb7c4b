import type { Cli } from '../cli.ts';
import { packageVersion } from '../version.ts';

interface InstallFlags {
  dryRun?: boolean;
  yes?: boolean;
  repair?: boolean;
}

interface UninstallFlags {
  dryRun?: boolean;
  yes?: boolean;
  force?: boolean;
  purge?: boolean;
}

export function registerInstallCommands(cli: Cli): void {
  cli.action<InstallFlags>(
    cli.program
      .command('install')
      .description('install, upgrade, or take over an existing PgQ, in one transaction')
      .option('--dry-run', 'print the SQL and what it would do; change nothing')
      .option('--yes', 'do not ask before a running PgQ is taken over')
      .option('--repair', 'install this version again where it is installed already'),
    [
      ['skytools install --dry-run > install.sql', 'read what would be run'],
      ['skytools install --database shop', 'the database named "shop" in the configuration'],
      ['skytools install --url postgres://owner@db.example/shop --yes', 'take over without asking'],
    ],
    async (context, _args, options) => {
      const [{ install, planFor }, { installSql }] = await Promise.all([
        import('../../schema/install.ts'),
        import('../../schema/compose.ts'),
      ]);
      const client = await context.connect();
      const version = packageVersion();
      if (options.dryRun) {
        const plan = await planFor(client, version, options.repair);
        for (const step of plan.steps) context.note(plan.kind === 'current' ? step : `would ${step}`);
        for (const missing of plan.missing) context.warn(`missing ${missing}`);
        for (const warning of plan.warnings) context.warn(warning);
        if (context.json) await context.done(plan, '');
        else if (plan.kind !== 'current') context.write(`begin;\n\n${installSql().text}\ncommit;\n`);
        return plan.missing.length === 0 ? 0 : 1;
      }
      const result = await install(client, {
        version,
        repair: options.repair === true,
        confirm: async (plan) => {
          for (const warning of plan.warnings) context.warn(warning);
          if (!plan.needsConfirmation) return;
          context.note(`This will:\n${plan.steps.map((step) => `  - ${step}`).join('\n')}`);
          await context.confirm('Go ahead?', options.yes);
        },
      });
      const { kind, steps, warnings } = result.plan;
      if (!result.changed) for (const warning of warnings) context.warn(warning);
      const recreated = result.recreated.map((signature) => `created anew: ${signature}`);
      await context.done(
        { changed: result.changed, kind, version, recreated: result.recreated },
        result.changed ? ['installed:', ...steps, ...recreated].join('\n  ') : steps.join('\n'),
      );
      return 0;
    },
  );

  cli.action<UninstallFlags>(
    cli.program
      .command('uninstall')
      .description('give a taken-over PgQ back to its extension, or remove everything')
      .option('--dry-run', 'say what would be done and lost; change nothing')
      .option('--yes', 'do not ask')
      .option('--force', 'go ahead even if events would be lost')
      .option('--purge', 'remove everything even where an extension was taken over'),
    [
      ['skytools uninstall --dry-run', 'what would be lost'],
      ['skytools uninstall --yes', 'undo a take-over: queues, consumers and events stay'],
      ['skytools uninstall --purge --force --yes', 'remove every queue and event'],
    ],
    async (context, _args, options) => {
      const { planUninstall, uninstall } = await import('../../schema/uninstall.ts');
      const client = await context.connect();
      const plan = await planUninstall(client, { purge: options.purge === true });
      for (const step of plan.steps) context.note(`${options.dryRun ? 'would ' : '- '}${step}`);
      for (const loss of plan.losses) context.warn(`lost: ${loss}`);
      if (options.dryRun) {
        if (context.json) await context.done(plan, '');
        return 0;
      }
      if (plan.kind !== 'nothing') await context.confirm('Go ahead?', options.yes);
      const done = await uninstall(client, { purge: options.purge === true, force: options.force === true });
      await context.done(done, done.kind === 'nothing' ? 'nothing was installed' : 'done');
      return 0;
    },
  );
}

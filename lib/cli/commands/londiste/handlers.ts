import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';

/** show-handlers. */
export function registerHandlerCommands(cli: Cli, group: Command): void {
  cli.action(
    group
      .command('show-handlers')
      .description('handlers that add-table knows, with their arguments')
      .argument('[handler...]', 'these only'),
    [
      ['skytools londiste show-handlers', 'all of them'],
      ['skytools londiste show-handlers vtable', 'one of them'],
    ],
    async (context, names) => {
      const { HANDLERS, useHandler } = await import('../../../londiste/handlers/registry.ts');
      const chosen = names.length === 0 ? HANDLERS : names.map((name) => useHandler(name).handler);
      if (context.json) return context.record(chosen, []);
      for (const { name, aliases, summary, arguments: given } of chosen) {
        context.write(`${[name, ...aliases].join(', ')}\n  ${summary}\n`);
        for (const argument of given)
          context.write(
            `  ${argument.name}=${argument.values.join('|')}  ${argument.meaning} (default ${argument.default})\n`,
          );
      }
    },
  );
}

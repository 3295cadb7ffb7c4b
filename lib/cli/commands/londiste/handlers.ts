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
      const { findHandler, HANDLERS } = await import('../../../londiste/handlers/registry.ts');
      const chosen = names.length === 0 ? HANDLERS : names.map((name) => findHandler(name));
      if (context.json) {
        const known = chosen.map(({ onEvent, ...handler }) => ({
          ...handler,
          eachEvent: onEvent !== undefined,
        }));
        return context.record(known, []);
      }
      for (const { name, aliases, summary, arguments: given, onEvent } of chosen) {
        context.write(`${[name, ...aliases].join(', ')}\n  ${summary}\n`);
        if (onEvent) context.write('  looks at each event: the batch is split there\n');
        for (const argument of given) {
          const must = argument.default === undefined ? 'required' : `default ${argument.default}`;
          const values = argument.values?.join('|') ?? '…';
          context.write(`  ${argument.name}=${values}  ${argument.meaning} (${must})\n`);
        }
      }
    },
  );
}

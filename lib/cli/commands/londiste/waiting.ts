import type { Command } from 'commander';
import type pg from 'pg';
import { type Cli, wholeNumber } from '../../cli.ts';
import type { CommandContext } from '../../context.ts';
import { countingBar, londisteContext, patience, WAIT_SECONDS } from './scope.ts';

/** Waits for the tables of a node, with a bar on a terminal and a line for each table. */
export async function waitForTables(
  context: CommandContext,
  client: pg.Client,
  queue: string,
  seconds: number,
): Promise<number> {
  const { waitSync } = await import('../../../londiste/admin/wait.ts');
  const bar = await countingBar(context, '{bar} {percentage}% copied, {duration_formatted}');
  let first = true;
  try {
    return await waitSync(
      client,
      queue,
      patience(context, seconds),
      ({ tables, inSync, finished, share }) => {
        if (first && inSync < tables) context.note(`${tables - inSync}/${tables} table(s) to copy`);
        first = false;
        for (const [index, table] of finished.entries())
          context.note(`${table}: finished (${inSync - finished.length + index + 1}/${tables})`);
        bar.update(Math.round(share * 100), 100);
      },
    );
  } finally {
    bar.stop();
  }
}

/** wait-sync, wait-root and wait-provider. */
export function registerWaitCommands(cli: Cli, group: Command): void {
  const waiting = (command: string, description: string) =>
    group
      .command(command)
      .description(description)
      .argument('<queue>')
      .option('--timeout <seconds>', 'give up after so long', wholeNumber, WAIT_SECONDS);

  cli.action<{ timeout: number }>(
    waiting('wait-sync', 'return when all subscribed tables are in sync'),
    [['skytools londiste wait-sync shop --database berlin --timeout 600', 'exit code 1 if it takes longer']],
    async (context, [queue], options) => {
      const { client } = await londisteContext(context);
      const tables = await waitForTables(context, client, queue!, options.timeout);
      await context.done({ queue, tables }, `all done: ${tables} tables are in sync`);
    },
  );

  for (const which of ['root', 'provider'] as const) {
    cli.action<{ timeout: number }>(
      waiting(
        `wait-${which}`,
        which === 'root'
          ? 'return when everything that is committed at the root by now is applied here'
          : 'return when everything that the provider has by now is applied here',
      ),
      [
        [
          `skytools londiste wait-${which} shop --database berlin --timeout 60`,
          'exit code 1 if it takes longer',
        ],
      ],
      async (context, [queue], options) => {
        const { waitFor } = await import('../../../londiste/admin/wait.ts');
        const { client, scope } = await londisteContext(context);
        const bar = await countingBar(context, '{bar} {value}/{total} ticks, {duration_formatted}');
        try {
          const tick = await waitFor(
            which,
            scope,
            client,
            queue!,
            patience(context, options.timeout),
            ({ from, at, to }) => bar.update(Number(at - from), Number(to - from)),
          );
          bar.stop();
          await context.done(
            { queue, tick: tick ?? null },
            tick === undefined ? 'this is the root: nothing to wait for' : `reached tick ${tick}`,
          );
        } finally {
          bar.stop();
        }
      },
    );
  }
}

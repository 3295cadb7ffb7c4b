import type { Cli } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { CONSUMER_COLUMNS } from './consumer.ts';
import { QUEUE_COLUMNS } from './queue.ts';

/** A queue whose last tick is older than its idle period by so much, in seconds, is late: two runs of the sweep. */
const LATE_TICK_S = 120;

export function registerStatusCommand(cli: Cli): void {
  cli.action<{ check?: boolean }>(
    cli.program
      .command('status')
      .description('queues and consumers of the database')
      .option('--check', 'exit code 3 if a queue is late, or its rotation blocked'),
    [
      ['skytools status --database shop', 'two tables'],
      ['skytools status --check --quiet > /dev/null || page-somebody', 'for a monitoring check'],
    ],
    async (context, _args, options) => {
      const { consumerStatus, queueStatus } = await import('../../pgq/status.ts');
      const client = await context.connect();
      const queues = await queueStatus(client);
      const consumers = await consumerStatus(client);
      if (context.json) await context.record({ queues, consumers }, []);
      else {
        await context.table(queues, QUEUE_COLUMNS, 'no queues');
        if (consumers.length > 0) {
          context.write('\n');
          await context.table(consumers, CONSUMER_COLUMNS);
        }
      }
      const unhealthy = queues.some(
        (queue) =>
          queue.rotationBlocked !== undefined ||
          (!queue.tickerPaused &&
            !queue.externalTicker &&
            (queue.tickerLagSeconds ?? 0) > queue.tickerIdlePeriodSeconds + LATE_TICK_S),
      );
      return options.check && unhealthy ? EXIT.unhealthy : EXIT.ok;
    },
  );
}

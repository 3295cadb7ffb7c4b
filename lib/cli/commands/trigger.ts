import { Option } from 'commander';
import type { CaptureTrigger, TriggerFormat } from '../../pgq/triggers.ts';
import { UsageError } from '../../platform/errors.ts';
import type { Cli } from '../cli.ts';
import type { Column } from '../output.ts';

const FORMATS: Readonly<Record<string, TriggerFormat>> = {
  urlencoded: 'logutriga',
  json: 'jsontriga',
  sql: 'sqltriga',
};

const COLUMNS: Column<CaptureTrigger>[] = [
  { title: 'table', value: (row) => row.table },
  { title: 'trigger', value: (row) => row.name },
  { title: 'queue', value: (row) => row.queue },
  { title: 'function', value: (row) => row.function },
  { title: 'enabled', value: (row) => row.enabled },
];

interface AddFlags {
  format: string;
  name?: string;
  arg: string[];
  before?: boolean;
  generated?: 'row' | 'statement';
  dryRun?: boolean;
}

const collect = (value: string, all: string[]) => [...all, value];

export function registerTriggerCommands(cli: Cli): void {
  const group = cli.group('trigger', "capture a table's changes into a queue");

  cli.action<AddFlags>(
    group
      .command('add')
      .description('capture inserts, updates, deletes and truncates of a table')
      .argument('<table>', 'schema.table')
      .argument('<queue>')
      .option('--format <format>', `form of the events: ${Object.keys(FORMATS).join(', ')}`, 'urlencoded')
      .option('--name <name>', 'name of the trigger (default: capture_QUEUE)')
      .option(
        '--arg <argument>',
        "argument of the trigger function, as 'ignore=a,b'; repeatable",
        collect,
        [],
      )
      .addOption(
        new Option(
          '--generated <level>',
          'a function written for this table, faster: for each row or statement',
        ).choices(['row', 'statement']),
      )
      .option('--before', 'fire before the change, as the argument SKIP needs')
      .option('--dry-run', 'try it and roll it back'),
    [
      ['skytools trigger add public.orders orders', 'every change of a row becomes an event'],
      [
        "skytools trigger add orders orders --format json --arg backup --arg 'ignore=updated_at'",
        'with the old row',
      ],
    ],
    async (context, [table, queue], options) => {
      const format =
        FORMATS[options.format] ?? Object.values(FORMATS).find((name) => name === options.format);
      if (format === undefined) {
        throw new UsageError('CLI_BAD_FORMAT', `no format "${options.format}"`, {
          hint: `formats are ${Object.keys(FORMATS).join(', ')}`,
        });
      }
      const { addTrigger } = await import('../../pgq/triggers.ts');
      const client = await context.connect();
      if (options.dryRun) await client.query('begin');
      const names = await addTrigger(client, {
        table: table!,
        queue: queue!,
        format,
        arguments: options.arg,
        before: options.before === true,
        ...(options.generated === undefined ? {} : { generated: options.generated }),
        ...(options.name === undefined ? {} : { name: options.name }),
      });
      if (options.dryRun) await client.query('rollback');
      const verb = options.dryRun ? 'would add' : 'added';
      await context.done(
        { table, queue, triggers: names, added: !options.dryRun },
        `${verb} ${names.join(', ')} on ${table}`,
      );
    },
  );

  cli.action<{ name?: string; yes?: boolean; dryRun?: boolean }>(
    group
      .command('remove')
      .description('stop capturing a table into a queue')
      .argument('<table>', 'schema.table')
      .argument('[queue]')
      .option('--name <name>', 'one trigger by its name instead of all that write to the queue')
      .option('--yes', 'do not ask')
      .option('--dry-run', 'say which triggers would go'),
    [['skytools trigger remove public.orders orders', 'both triggers; asks first']],
    async (context, [table, queue], options) => {
      if ((queue === undefined) === (options.name === undefined)) {
        throw new UsageError('CLI_WHICH_TRIGGER', 'name either the queue or, with --name, one trigger', {
          hint: 'skytools trigger list shows them',
        });
      }
      const { listTriggers, removeTriggers } = await import('../../pgq/triggers.ts');
      const client = await context.connect();
      const by = options.name === undefined ? { queue: queue! } : { name: options.name };
      if (options.dryRun) {
        const found = await listTriggers(client, { table: table! });
        const names = found
          .filter((trigger) => ('queue' in by ? trigger.queue === by.queue : trigger.name === by.name))
          .map((trigger) => trigger.name);
        return context.done(
          { table, triggers: names, removed: false },
          `would remove ${names.join(', ') || 'nothing'}`,
        );
      }
      await context.confirm(
        `Stop capturing ${table}? Changes made from then on reach no queue.`,
        options.yes,
      );
      const names = await removeTriggers(client, table!, by);
      await context.done(
        { table, triggers: names, removed: true },
        `removed ${names.join(', ')} from ${table}`,
      );
    },
  );

  cli.action(
    group
      .command('refresh')
      .description('write generated triggers again that do not fit their table any more')
      .argument('[table]', 'schema.table'),
    [['skytools trigger refresh', 'of all tables; doctor names the stale ones']],
    async (context, [table]) => {
      const { refreshTriggers } = await import('../../pgq/triggers.ts');
      const refreshed = await refreshTriggers(await context.connect(), table);
      await context.done({ refreshed }, `${refreshed} triggers written again`);
    },
  );

  cli.action<{ queue?: string }>(
    group
      .command('list')
      .description('triggers that write to queues')
      .argument('[table]', 'schema.table')
      .option('--queue <queue>', 'of one queue'),
    [['skytools trigger list --queue orders', 'the tables captured into a queue']],
    async (context, [table], options) => {
      const { listTriggers } = await import('../../pgq/triggers.ts');
      const found = await listTriggers(await context.connect(), {
        ...(table === undefined ? {} : { table }),
        ...(options.queue === undefined ? {} : { queue: options.queue }),
      });
      await context.table(found, COLUMNS, 'no triggers');
    },
  );
}

import type { Command } from 'commander';
import type { TableStatus } from '../../../londiste/admin/tables.ts';
import { UsageError } from '../../../platform/errors.ts';
import { type Cli, wholeNumber } from '../../cli.ts';
import { type Column, formatBytes, formatSeconds } from '../../output.ts';
import { londisteContext, patience } from './scope.ts';

interface AddFlags {
  all?: boolean;
  destTable?: string;
  create?: boolean;
  createFull?: boolean;
  expectSync?: boolean;
  skipTruncate?: boolean;
  handler?: string;
  triggerFlags?: string;
  triggerArg?: string[];
  triggers: boolean;
  copyNode?: string;
  waitSync?: boolean;
}

const COLUMNS: Column<TableStatus>[] = [
  { title: 'table', value: (row) => (row.dest === row.table ? row.table : `${row.table} (${row.dest})`) },
  { title: 'state', value: (row) => row.state ?? 'waiting' },
  {
    title: 'copied',
    value: (row) =>
      row.chunks === null
        ? ''
        : [
            `${row.percent ?? 0}%, ${row.chunksDone}/${row.chunks} chunks, ${row.rows} rows, ${formatBytes(row.bytes)}`,
            ...(row.secondsLeft === null ? [] : [`about ${formatSeconds(row.secondsLeft)} left`]),
          ].join(', '),
  },
  { title: 'missing rows', value: (row) => (row.missingRows > 0n ? row.missingRows : ''), align: 'right' },
  { title: 'trouble', value: (row) => row.fault },
];

const admin = () => import('../../../londiste/admin/tables.ts');
const collect = (value: string, before: string[] = []) => [...before, value];

/** Longest wait of wait-sync unless told, in seconds. */
const WAIT_SECONDS = 86_400;

/** Tables and sequences of a set. */
export function registerTableCommands(cli: Cli, group: Command): void {
  cli.action<AddFlags>(
    group
      .command('add-table')
      .description('add tables to the set (on the root) or subscribe them here (elsewhere)')
      .argument('<queue>')
      .argument('[table...]')
      .option('--all', 'every table that could be added')
      .option('--dest-table <name>', 'its real name here')
      .option('--create', 'make it like the one of the provider: columns and primary key')
      .option('--create-full', 'also defaults, constraints, indexes, partitions, comments, grants and owner')
      .option('--expect-sync', 'its rows are here already: no copy')
      .option('--skip-truncate', 'the copy keeps the rows that are here')
      .option('--handler <name>', 'how its events are applied: londiste, vtable or qtable')
      .option('--trigger-flags <letters>', 'I U D events, A or B time, L J Q format, S skip')
      .option('--trigger-arg <argument>', 'argument of the trigger function (may be repeated)', collect)
      .option('--no-triggers', 'make no triggers')
      .option('--copy-node <node>', 'copy from this node instead of the provider')
      .option('--wait-sync', 'return when all tables are in sync'),
    [
      [
        'skytools londiste add-table shop orders customers --database paris',
        'on the root: from now on their changes are in the set',
      ],
      [
        'skytools londiste add-table shop orders --create --wait-sync --database berlin',
        'on a leaf: made, copied, replayed',
      ],
    ],
    async (context, [queue, ...names], options) => {
      const { addTable, missingObjects, waitSync } = await admin();
      const { client, scope } = await londisteContext(context);
      const tables = options.all
        ? (await missingObjects(client, queue!))
            .filter(({ kind }) => kind === 'table')
            .map(({ name }) => name)
        : names;
      if (tables.length === 0)
        throw new UsageError('CLI_NO_TABLES', 'which tables?', { hint: 'name them, or give --all' });
      if (options.destTable !== undefined && tables.length > 1)
        throw new UsageError('CLI_ONE_TABLE', '--dest-table goes with one table', {
          hint: 'add the tables one by one',
        });
      const notes: string[] = [];
      for (const table of tables) {
        const answer = await addTable(scope, client, {
          queue: queue!,
          table,
          dest: options.destTable,
          create: options.createFull ? 'full' : options.create ? 'plain' : undefined,
          expectSync: options.expectSync,
          skipTruncate: options.skipTruncate,
          handler: options.handler,
          copyNode: options.copyNode,
          triggerArgs: [
            ...(options.triggerFlags ? [`tgflags=${options.triggerFlags}`] : []),
            ...(options.triggerArg ?? []),
            ...(options.triggers ? [] : ['no_triggers']),
          ],
        });
        for (const left of answer.left) context.warn(`not made as at the provider: ${left}`);
        if (answer.ret_code >= 300) context.warn(answer.ret_note ?? '');
        notes.push(answer.ret_note ?? '');
      }
      if (options.waitSync) {
        const { pause, allows } = patience(context, WAIT_SECONDS);
        await waitSync(client, queue!, pause, allows);
      }
      await context.done({ queue, tables, notes }, notes.join('\n'));
    },
  );

  const each = (
    command: string,
    description: string,
    example: string,
    run: (
      context: Awaited<ReturnType<typeof londisteContext>>,
      queue: string,
      name: string,
    ) => Promise<{ ret_note: string | null }>,
    what = 'table',
  ) =>
    cli.action(
      group.command(command).description(description).argument('<queue>').argument(`<${what}...>`),
      [[`skytools londiste ${command} shop ${example}`, description]],
      async (context, [queue, ...names]) => {
        const londiste = await londisteContext(context);
        const notes: string[] = [];
        for (const name of names) notes.push((await run(londiste, queue!, name)).ret_note ?? '');
        await context.done({ queue, names, notes }, notes.join('\n'));
      },
    );

  each(
    'remove-table',
    'end the subscription of tables; on the root they leave the whole set',
    'orders',
    async ({ client, scope }, queue, name) => (await admin()).removeTable(scope, client, queue, name),
  );
  each('resync', 'copy subscribed tables again', 'orders', async ({ client }, queue, name) =>
    (await admin()).resyncTable(client, queue, name),
  );
  each(
    'add-seq',
    'add sequences to the set, or subscribe them here',
    'orders_id_seq',
    async ({ client }, queue, name) => (await admin()).addSequence(client, queue, name),
    'sequence',
  );
  each(
    'remove-seq',
    'take sequences out',
    'orders_id_seq',
    async ({ client }, queue, name) => (await admin()).removeSequence(client, queue, name),
    'sequence',
  );

  cli.action(
    group
      .command('tables')
      .description('subscribed tables of this node and how their copies stand')
      .argument('<queue>'),
    [
      [
        'skytools londiste tables shop --database berlin',
        'docs/reference/table-states.md explains the states',
      ],
    ],
    async (context, [queue]) => {
      const { tableStatus } = await admin();
      const { client } = await londisteContext(context);
      await context.table(await tableStatus(client, queue!), COLUMNS, 'no tables are subscribed');
    },
  );

  cli.action(
    group.command('missing').description('tables and sequences that could be added here').argument('<queue>'),
    [['skytools londiste missing shop', 'not subscribed yet']],
    async (context, [queue]) => {
      const { missingObjects } = await admin();
      const { client } = await londisteContext(context);
      await context.table(
        await missingObjects(client, queue!),
        [
          { title: 'kind', value: (row) => row.kind },
          { title: 'name', value: (row) => row.name },
        ],
        'nothing is missing',
      );
    },
  );

  cli.action<{ timeout: number }>(
    group
      .command('wait-sync')
      .description('return when all subscribed tables are in sync')
      .argument('<queue>')
      .option('--timeout <seconds>', 'give up after so long', wholeNumber, WAIT_SECONDS),
    [['skytools londiste wait-sync shop --database berlin --timeout 600', 'exit code 1 if it takes longer']],
    async (context, [queue], options) => {
      const { waitSync } = await admin();
      const { client } = await londisteContext(context);
      const { pause, allows } = patience(context, options.timeout);
      const tables = await waitSync(client, queue!, pause, allows);
      await context.done({ queue, tables }, `${tables} tables are in sync`);
    },
  );
}

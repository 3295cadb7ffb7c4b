import { type Command, InvalidArgumentError } from 'commander';
import type { AddedTable } from '../../../londiste/admin/add-tables.ts';
import type { TableStatus } from '../../../londiste/admin/tables.ts';
import { decodeUrlencoded } from '../../../pgq/codecs/urlencoded.ts';
import { UsageError } from '../../../platform/errors.ts';
import { type Cli, wholeNumber } from '../../cli.ts';
import type { CommandContext } from '../../context.ts';
import { type Column, formatBytes, formatSeconds } from '../../output.ts';
import { dryRunOption, londisteContext, WAIT_SECONDS } from './scope.ts';
import { waitForTables } from './waiting.ts';

interface AddFlags {
  all?: boolean;
  destTable?: string;
  create?: boolean;
  createFull?: boolean;
  expectSync?: boolean;
  skipTruncate?: boolean;
  handler?: string;
  handlerArg?: Record<string, string>;
  triggerFlags?: string;
  triggerArg?: string[];
  triggers: boolean;
  copyNode?: string;
  findCopyNode?: boolean;
  mergeAll?: boolean;
  merge: boolean;
  maxParallelCopy?: number;
  skipNonExisting?: boolean;
  force?: boolean;
  waitSync?: boolean;
  dryRun?: boolean;
}

interface ResyncFlags {
  all?: boolean;
  copyNode?: string;
  findCopyNode?: boolean;
  dryRun?: boolean;
}

/** A table with a fault is not simply `ok`. */
const stateOf = ({ state, fault, held }: TableStatus): string =>
  held ? 'held back' : state === 'ok' && fault !== null ? 'ok, faulty' : (state ?? 'waiting');

const attributesOf = ({ attributes }: TableStatus): string =>
  Object.entries(decodeUrlencoded(attributes ?? ''))
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');

const COLUMNS: Column<TableStatus>[] = [
  { title: 'table', value: (row) => (row.dest === row.table ? row.table : `${row.table} (${row.dest})`) },
  { title: 'state', value: stateOf },
  { title: 'attributes', value: (row) => attributesOf(row) },
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

function collectPair(text: string, before: Record<string, string> = {}): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('not of the form name=value');
  const name = text.slice(0, equals);
  if (name in before) throw new InvalidArgumentError(`${name} is given twice`);
  return { ...before, [name]: text.slice(equals + 1) };
}

function triggerFlags(text: string): string {
  const unknown = text.replace(/[IUDABLJQS]/gi, '');
  if (text !== '' && unknown === '') return text;
  throw new InvalidArgumentError(`no such letter: ${unknown}`);
}

function aboveZero(text: string): number {
  const number = wholeNumber(text);
  if (number < 1) throw new InvalidArgumentError('not above 0');
  return number;
}

/** The node to copy from, as `copy_node` holds it. */
function copyNodeOf({
  copyNode,
  findCopyNode,
}: {
  copyNode?: string;
  findCopyNode?: boolean;
}): string | undefined {
  if (copyNode !== undefined && findCopyNode) {
    throw new UsageError('CLI_TWO_COPY_NODES', '--copy-node and --find-copy-node exclude each other', {
      hint: 'give one of them',
    });
  }
  return findCopyNode ? '?' : copyNode;
}

/** Tables of a set. */
export function registerTableCommands(cli: Cli, group: Command): void {
  registerAddTable(cli, group);

  changing(cli, group, {
    command: 'remove-table',
    description: 'end the subscription of tables; on the root they leave the whole set',
    would: 'would be removed',
    run: async ({ client, scope }, queue, name) => (await admin()).removeTable(scope, client, queue, name),
  });
  changing<ResyncFlags>(cli, group, {
    command: 'resync',
    description: 'copy subscribed tables again',
    would: 'would be copied again',
    options: (command) =>
      command
        .option('--copy-node <node>', 'copy from this node instead of the provider, now and later')
        .option('--find-copy-node', 'copy from the nearest node above that has the rows'),
    run: async ({ client, scope }, queue, name, options) =>
      (await admin()).resyncTable(scope, client, queue, name, copyNodeOf(options)),
  });

  cli.action<{ namesOnly?: boolean }>(
    group
      .command('tables')
      .description('subscribed tables of this node and how their copies stand')
      .argument('<queue>')
      .option('--names-only', 'nothing but the names, one a line'),
    [
      [
        'skytools londiste tables shop --database berlin',
        'docs/reference/table-states.md explains the states',
      ],
    ],
    async (context, [queue], options) => {
      const { tableStatus } = await admin();
      const { nodeState } = await import('../../../londiste/node-state.ts');
      const { client } = await londisteContext(context);
      await nodeState(client, queue!);
      const tables = await tableStatus(client, queue!);
      if (!options.namesOnly) return context.table(tables, COLUMNS, 'no tables are subscribed');
      const names = tables.map(({ table }) => table);
      if (context.json) return context.record(names, []);
      context.write(names.map((name) => `${name}\n`).join(''));
    },
  );

  cli.action(
    group.command('missing').description('tables and sequences that could be added here').argument('<queue>'),
    [['skytools londiste missing shop', 'not subscribed yet']],
    async (context, [queue]) => {
      const { missingObjects } = await admin();
      const { nodeState } = await import('../../../londiste/node-state.ts');
      const { client } = await londisteContext(context);
      await nodeState(client, queue!);
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
}

function registerAddTable(cli: Cli, group: Command): void {
  cli.action<AddFlags>(
    dryRunOption(
      group
        .command('add-table')
        .description('add tables to the set (on the root) or subscribe them here (elsewhere)')
        .argument('<queue>')
        .argument('[table...]', 'names, or masks with * and ?')
        .option('--all', 'every table that could be added')
        .option('--dest-table <name>', 'its real name here')
        .option('--create', 'make it like the one of the provider: columns and primary key')
        .option(
          '--create-full',
          'also defaults, constraints, indexes, partitions, comments, grants and owner',
        )
        .option('--expect-sync', 'its rows are here already: no copy')
        .option('--skip-truncate', 'the copy keeps the rows that are here')
        .option('--handler <name>', 'how its events are applied: see show-handlers')
        .option('--handler-arg <name=value>', 'argument of the handler (may be repeated)', collectPair)
        .option('--trigger-flags <letters>', 'I U D events, A or B time, L J Q format, S skip', triggerFlags)
        .option('--trigger-arg <argument>', 'argument of the trigger function (may be repeated)', collect)
        .option('--no-triggers', 'make no triggers')
        .option('--copy-node <node>', 'copy from this node instead of the provider')
        .option('--find-copy-node', 'copy from the nearest node above that has the rows')
        .option('--merge-all', 'of a table that several sets fill: subscribe it in each of them')
        .option('--no-merge', 'of a table that several sets fill: subscribe it in this set alone')
        .option('--max-parallel-copy <n>', 'of a table that several sets fill: copies at once', aboveZero)
        .option('--skip-non-existing', 'leave out tables that are missing here or at the provider')
        .option('--force', 'take names that the set does not list')
        .option('--wait-sync', 'return when all tables are in sync'),
    ),
    [
      [
        'skytools londiste add-table shop orders customers --database paris',
        'on the root: from now on their changes are in the set',
      ],
      [
        'skytools londiste add-table shop orders --create --wait-sync --database berlin',
        'on a leaf: made, copied, replayed',
      ],
      ["skytools londiste add-table shop 'app.*' --dry-run --database berlin", 'what would be added'],
    ],
    async (context, [queue, ...names], options) => {
      const { addTables } = await import('../../../londiste/admin/add-tables.ts');
      const { client, scope } = await londisteContext(context);
      if (options.mergeAll && !options.merge) {
        throw new UsageError('CLI_MERGE', '--merge-all and --no-merge exclude each other', {
          hint: 'give one of them',
        });
      }
      const tell = ({ outcome, note, left }: AddedTable) => {
        for (const what of left) context.warn(`not made as at the provider: ${what}`);
        if (outcome === 'left out' || outcome === 'would be refused') context.warn(note);
        else if (!context.json) context.note(note);
      };
      const tables = await addTables(
        scope,
        client,
        {
          queue: queue!,
          tables: names,
          all: options.all,
          dest: options.destTable,
          create: options.createFull ? 'full' : options.create ? 'plain' : undefined,
          expectSync: options.expectSync,
          skipTruncate: options.skipTruncate,
          handler: options.handler,
          handlerArguments: options.handlerArg,
          copyNode: copyNodeOf(options),
          merge: options.mergeAll ? 'all' : options.merge ? undefined : 'none',
          maxParallelCopy: options.maxParallelCopy,
          skipNonExisting: options.skipNonExisting,
          force: options.force,
          dryRun: options.dryRun,
          triggerArgs: [
            ...(options.triggerFlags ? [`tgflags=${options.triggerFlags}`] : []),
            ...(options.triggerArg ?? []),
            ...(options.triggers ? [] : ['no_triggers']),
          ],
        },
        tell,
      );
      if (options.waitSync && !options.dryRun) await waitForTables(context, client, queue!, WAIT_SECONDS);
      if (context.json) await context.record({ queue, tables }, []);
      else if (tables.length === 0) context.note('nothing is missing');
    },
  );
}

/** A command that changes subscriptions one by one. */
interface Changing<Flags> {
  command: string;
  description: string;
  /** What --dry-run says of each. */
  would: string;
  options?: (command: Command) => Command;
  run: (
    context: Awaited<ReturnType<typeof londisteContext>>,
    queue: string,
    name: string,
    options: Flags,
  ) => Promise<{ ret_note: string | null }>;
}

function changing<Flags extends { all?: boolean; dryRun?: boolean }>(
  cli: Cli,
  group: Command,
  { command: name, description, would, options: more = (command) => command, run }: Changing<Flags>,
): void {
  const command = dryRunOption(
    more(
      group
        .command(name)
        .description(description)
        .argument('<queue>')
        .argument('[table...]', 'names, or masks with * and ?')
        .option('--all', 'every subscribed table'),
    ),
  );
  const action = async (context: CommandContext, [queue, ...given]: string[], options: Flags) => {
    const { tableStatus } = await admin();
    const { choose } = await import('../../../londiste/admin/names.ts');
    const { nodeState } = await import('../../../londiste/node-state.ts');
    const londiste = await londisteContext(context);
    await nodeState(londiste.client, queue!);
    const known = (await tableStatus(londiste.client, queue!)).map(({ table }) => table);
    const tables = choose(given, known, { all: options.all });
    const notes: string[] = [];
    for (const table of tables) {
      notes.push(
        options.dryRun ? `${table} ${would}` : ((await run(londiste, queue!, table, options)).ret_note ?? ''),
      );
      if (!context.json) context.note(notes.at(-1)!);
    }
    if (context.json) await context.record({ queue, tables, notes, dryRun: options.dryRun === true }, []);
    else if (tables.length === 0) context.note('no tables are subscribed');
  };
  cli.action<Flags>(command, [[`skytools londiste ${name} shop orders`, description]], action);
}

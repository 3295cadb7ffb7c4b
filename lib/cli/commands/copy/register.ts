import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { CopyOrder } from '../../../londiste/copy/order.ts';
import type { CopyProgress } from '../../../londiste/copy/progress.ts';
import { UsageError } from '../../../platform/errors.ts';
import { type Cli, int8, int8Arguments, wholeNumber } from '../../cli.ts';
import type { ChosenDatabase, CommandContext } from '../../context.ts';
import { EXIT } from '../../exit.ts';
import { formatBytes } from '../../output.ts';
import { copyBars, describeCopy } from './bars.ts';
import { type CopyScope, copyScope } from './scope.ts';

interface RunFlags {
  from: string;
  to: string;
  destTable?: string;
  where?: string;
  create?: boolean;
  createFull?: boolean;
  truncate?: boolean;
  keep?: boolean;
  oneSnapshot?: boolean;
  chunkSize: number;
  name?: string;
  jobs: number;
  detach?: boolean;
  dryRun?: boolean;
  yes?: boolean;
}

const orders = () => import('../../../londiste/copy/order.ts');

/** Between two looks at how far copies are, in milliseconds. */
const LOOK_MS = 300;

/** As a node's chunkBytes. */
const CHUNK_MIB = 64;

/** Workers of a copy that is run here, unless told. */
const WORKERS = 2;

/** `skytools copy …`: tables from one database to another, without a set. */
export function registerCopyCommands(cli: Cli): void {
  const group = cli.group('copy', 'copy tables from one database to another, in resumable chunks');
  registerRun(cli, group);
  registerList(cli, group);
  registerShow(cli, group);
  registerResume(cli, group);
  registerCancel(cli, group);
}

function registerRun(cli: Cli, group: Command): void {
  cli.action<RunFlags>(
    group
      .command('tables', { isDefault: true })
      .description('copy tables (the word "tables" may be left out)')
      .argument('<table...>')
      .requiredOption('--from <database>', 'where the rows are, by its name in the configuration')
      .requiredOption('--to <database>', 'where they go')
      .option('--dest-table <name>', 'its name there, for one table')
      .option('--where <condition>', 'only rows for which this holds, as behind WHERE')
      .option('--create', 'make a table that is missing: columns, the types they use, primary key')
      .option('--create-full', 'also defaults, constraints, indexes, partitions, comments, grants and owner')
      .option('--truncate', 'empty the tables first')
      .option('--keep', 'keep their rows; those of the source overwrite the ones of the same key')
      .option('--one-snapshot', 'one chunk for each table: all of its rows as of one moment')
      .option('--chunk-size <MiB>', 'of a table at the source that one chunk holds', wholeNumber, CHUNK_MIB)
      .option('--name <name>', 'asking again under the same name goes on with the same copies')
      .option('--jobs <n>', 'chunks and indexes at a time', wholeNumber, WORKERS)
      .option('--detach', 'write the order down and let the function copy carry it out')
      .option('--dry-run', 'say what would be done')
      .option('--yes', 'do not ask before tables are emptied'),
    [
      ['skytools copy orders customers --from paris --to berlin --create-full', 'made, copied, indexed'],
      [
        'skytools copy orders --from paris --to lab --where "placed > now() - interval \'30 days\'" --truncate --yes',
        'the recent ones, in place of what is there',
      ],
      ['skytools copy orders --from paris --to berlin --dry-run', 'what would be done, and how consistent'],
    ],
    async (context, tables, options) => {
      if (options.truncate && options.keep)
        throw new UsageError('CLI_TRUNCATE_OR_KEEP', '--truncate and --keep exclude each other', {
          hint: 'give one of them',
        });
      const { checkOrder, jobsOfOrder, parseOrder, placeOrder } = await orders();
      const into = await context.configured(options.to);
      const order = parseOrder(orderOf(tables, options));
      return withScopes(context, into, 1, async ([scope]) => {
        const known = await scope!.database(into.name, (target) => jobsOfOrder(target, order.name));
        if (known.length > 0 && !options.dryRun && !options.detach)
          return carryOut(context, into, known, options.jobs);
        const planned = await scope!.database(into.name, (target) => checkOrder(scope!, target, order));
        if (options.dryRun) {
          await context.table(planned, [
            { title: 'table', value: (row) => row.source },
            { title: 'to', value: (row) => row.dest },
            { title: 'size', value: (row) => formatBytes(row.bytes), align: 'right' },
            { title: 'chunks', value: (row) => row.chunks, align: 'right' },
            { title: 'made', value: (row) => row.make },
          ]);
          return context.note(consistency(planned));
        }
        if (order.existing === 'truncate')
          await context.confirm(`Empty ${planned.map((table) => table.dest).join(', ')}?`, options.yes);
        context.note(consistency(planned));
        const jobs = await scope!.database(into.name, (target) => placeOrder(scope!, target, order));
        if (options.detach) {
          const numbers = jobs.join(', ');
          return context.done(
            { order: order.name, jobs },
            `ordered as ${numbers}: the next tick of ${into.name} begins; see skytools copy list --database ${into.name}`,
          );
        }
        return carryOut(context, into, jobs, options.jobs);
      });
    },
    { endsItself: true },
  );
}

const orderOf = (tables: readonly string[], options: RunFlags): CopyOrder => ({
  name: options.name ?? randomUUID(),
  from: options.from,
  tables: [...tables],
  dest: options.destTable,
  where: options.where,
  create: options.createFull ? 'full' : options.create ? 'plain' : undefined,
  existing: options.truncate ? 'truncate' : options.keep ? 'keep' : 'refuse',
  oneSnapshot: options.oneSnapshot ?? false,
  chunkBytes: Math.max(1, options.chunkSize) * 2 ** 20,
});

/** What the copy is worth while others write at the source. */
function consistency(tables: readonly { source: string; chunks: number }[]): string {
  const cut = tables.filter(({ chunks }) => chunks > 1);
  if (cut.length === 0) return 'each table is read under one snapshot: all of its rows as of one moment';
  return (
    `${cut.map(({ source }) => source).join(', ')}: every chunk is read as of its own moment; of rows that change their key ` +
    'or are written meanwhile, some may be old or missing. --one-snapshot reads a table as of one moment'
  );
}

/** Runs `body` with scopes, one for each worker. */
async function withScopes<T>(
  context: CommandContext,
  into: ChosenDatabase,
  count: number,
  body: (scopes: CopyScope[]) => Promise<T>,
): Promise<T> {
  const scopes = await Promise.all(Array.from({ length: count }, () => copyScope(context, into)));
  try {
    return await body(scopes);
  } finally {
    await Promise.all(scopes.map((scope) => scope.close()));
  }
}

/** Copies here, with bars, to the end or to Ctrl-C. */
async function carryOut(context: CommandContext, into: ChosenDatabase, jobs: bigint[], workers: number) {
  const [{ runOrders }, { copyProgress }] = await Promise.all([
    import('../../../londiste/copy/run-orders.ts'),
    import('../../../londiste/copy/progress.ts'),
  ]);
  const watcher = await context.connect(into);
  const look = async () => (await copyProgress(watcher)).filter(({ job }) => jobs.includes(job));
  const bars = await copyBars(context);
  let ended = false;
  const watching = (async () => {
    while (!ended) {
      bars.update(await look());
      await sleep(LOOK_MS);
    }
  })().catch(() => {});
  try {
    await withScopes(context, into, Math.max(1, workers), (scopes) => runOrders(scopes, into.name, jobs));
  } finally {
    ended = true;
    await watching;
    bars.update(await look().catch(() => []));
    bars.stop();
  }
  const copies = await look();
  const open = copies.filter(({ state }) => state !== 'done');
  await context.done(
    copies,
    open.length === 0
      ? copies.map((copy) => `${copy.dest}: ${copy.rows} rows, ${formatBytes(copy.bytes)}`).join('\n')
      : `stopped; go on with skytools copy resume ${open.map(({ job }) => job).join(' ')} --database ${into.name}`,
  );
  return open.length === 0 ? EXIT.ok : EXIT.interrupted;
}

const COLUMNS = [
  { title: 'job', value: (copy: CopyProgress) => copy.job, align: 'right' as const },
  { title: 'table', value: (copy: CopyProgress) => copy.dest },
  { title: 'for', value: (copy: CopyProgress) => copy.queue ?? 'on demand' },
  { title: 'state', value: (copy: CopyProgress) => copy.state },
  { title: '%', value: (copy: CopyProgress) => copy.percent, align: 'right' as const },
  { title: 'copied', value: describeCopy },
  { title: 'problem', value: (copy: CopyProgress) => copy.problem },
];

function registerList(cli: Cli, group: Command): void {
  cli.action(
    group
      .command('list')
      .description('copies into a database: on demand, and of sets until they are in sync'),
    [['skytools copy list --database berlin', 'rows, bytes, percent, time left']],
    async (context) => {
      const { copyProgress } = await import('../../../londiste/copy/progress.ts');
      await context.table(await copyProgress(await context.connect()), COLUMNS, 'no copies');
    },
  );
}

function registerShow(cli: Cli, group: Command): void {
  cli.action(
    group.command('show').description('one copy').argument('<job>', 'its number', int8),
    [['skytools copy show 12 --database berlin', 'also what is off its table']],
    async (context, [job]) => {
      const { copyDetails } = await import('../../../londiste/copy/progress.ts');
      const details = await copyDetails(await context.connect(), job as unknown as bigint);
      await context.record(details, [
        ['job', details.job],
        ['from', `${details.source} ${details.sourceTable}`],
        ['to', details.dest],
        ['where', details.condition ?? ''],
        ['state', details.state],
        ['started', details.started],
        ['chunks', `${details.chunksDone} of ${details.chunks}`],
        ['copied', `${details.percent ?? 0}%, ${describeCopy(details)}`],
        ['off', details.off.join(', ')],
        ['problem', details.problem ?? ''],
      ]);
    },
  );
}

function registerResume(cli: Cli, group: Command): void {
  cli.action<{ jobs: number }>(
    group
      .command('resume')
      .description('go on with copies on demand here')
      .argument('<job...>', 'their numbers')
      .option('--jobs <n>', 'chunks and indexes at a time', wholeNumber, WORKERS),
    [['skytools copy resume 12 13 --database berlin', 'chunks that are done stay done']],
    async (context, numbers, options) => {
      const into = await context.target();
      return carryOut(context, into, int8Arguments(numbers), options.jobs);
    },
    { endsItself: true },
  );
}

function registerCancel(cli: Cli, group: Command): void {
  cli.action<{ yes?: boolean }>(
    group
      .command('cancel')
      .description('end a copy on demand; its table is emptied (not with --keep) and gets its indexes back')
      .argument('<job>', 'its number', int8)
      .option('--yes', 'do not ask'),
    [['skytools copy cancel 12 --database berlin --yes', 'no chunk begins any more']],
    async (context, [job], options) => {
      const { cancelOrder } = await orders();
      const client = await context.connect();
      await context.confirm(`End copy ${job} and empty its table?`, options.yes);
      const ended = await cancelOrder(client, job as unknown as bigint);
      await context.done({ job, ended }, ended ? `copy ${job} is cancelled` : `copy ${job} was done before`);
    },
  );
}

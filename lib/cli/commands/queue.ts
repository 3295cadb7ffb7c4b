import type { QueueSettings } from '../../pgq/queues.ts';
import type { QueueStatus } from '../../pgq/status.ts';
import { UsageError } from '../../platform/errors.ts';
import type { Cli } from '../cli.ts';
import type { CommandContext } from '../context.ts';
import { type Column, formatSeconds } from '../output.ts';

const queues = () => import('../../pgq/queues.ts');

/** Settings by the name used on the command line: the field, and how its value is written. */
const SETTINGS: Readonly<Record<string, [field: keyof QueueSettings, kind: 'count' | 'duration' | 'flag']>> =
  {
    'ticker-max-count': ['tickerMaxCount', 'count'],
    'ticker-max-lag': ['tickerMaxLagSeconds', 'duration'],
    'ticker-idle-period': ['tickerIdlePeriodSeconds', 'duration'],
    'ticker-paused': ['tickerPaused', 'flag'],
    'rotation-period': ['rotationPeriodSeconds', 'duration'],
    'external-ticker': ['externalTicker', 'flag'],
  };

export const QUEUE_COLUMNS: Column<QueueStatus>[] = [
  { title: 'queue', value: (row) => row.queue },
  { title: 'state', value: queueState },
  { title: 'last tick', value: (row) => formatSeconds(row.tickerLagSeconds), align: 'right' },
  { title: 'new events', value: (row) => row.newEvents, align: 'right' },
  { title: 'events/s', value: (row) => row.eventsPerSecond?.toFixed(1), align: 'right' },
  { title: 'consumers', value: (row) => row.consumers, align: 'right' },
  { title: 'worst lag', value: (row) => formatSeconds(row.worstLagSeconds), align: 'right' },
];

function queueState(row: QueueStatus): string {
  if (row.rotationBlocked) return `rotation blocked by ${row.rotationBlocked.consumer}`;
  if (row.tickerPaused) return 'paused';
  if (row.externalTicker) return 'external ticker';
  return row.insertDisabled ? 'inserts disabled' : 'ok';
}

/** `name=value` pairs as queue settings. @throws UsageError CLI_BAD_SETTING */
async function parseSettings(pairs: readonly string[]): Promise<QueueSettings> {
  const { parseDuration } = await import('../../platform/duration.ts');
  const settings: Record<string, number | boolean> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const name = pair.slice(0, Math.max(at, 0)).replaceAll('_', '-');
    const text = pair.slice(at + 1);
    const [field, kind] = SETTINGS[name] ?? [];
    if (field === undefined) throw badSetting(pair, `settings are ${Object.keys(SETTINGS).join(', ')}`);
    const value =
      kind === 'flag'
        ? (
            { true: true, on: true, yes: true, false: false, off: false, no: false } as Record<
              string,
              boolean
            >
          )[text]
        : kind === 'count'
          ? /^\d+$/.test(text)
            ? Number(text)
            : undefined
          : durationSeconds(text, parseDuration);
    if (value === undefined) {
      const form = { flag: 'yes or no', count: 'a whole number', duration: 'a time such as 500ms, 3s or 2h' };
      throw badSetting(pair, `${name} takes ${form[kind!]}`);
    }
    settings[field] = value;
  }
  return settings;
}

function durationSeconds(text: string, parse: (text: string) => number | undefined): number | undefined {
  const milliseconds = text === '0' ? 0 : parse(text);
  return milliseconds === undefined ? undefined : milliseconds / 1000;
}

const badSetting = (pair: string, hint: string) =>
  new UsageError('CLI_BAD_SETTING', `"${pair}" is no setting of a queue`, { hint });

/** @throws UsageError PGQ_QUEUE_MISSING */
export async function oneQueue(context: CommandContext, queue: string): Promise<QueueStatus> {
  const { queueStatus } = await import('../../pgq/status.ts');
  const [status] = await queueStatus(await context.connect(), queue);
  if (status) return status;
  throw noSuchQueue(queue);
}

export const noSuchQueue = (queue: string) =>
  new UsageError('PGQ_QUEUE_MISSING', `no such queue: ${queue}`, {
    subject: { queue },
    hint: 'skytools queue list shows the queues; skytools queue create makes one',
  });

/** @throws UsageError QUEUE_NOT_TICKED_HERE */
function refuseTick({ queue, tickerPaused, externalTicker }: QueueStatus): void {
  if (!tickerPaused && !externalTicker) return;
  throw new UsageError(
    'QUEUE_NOT_TICKED_HERE',
    tickerPaused ? 'the queue is paused' : 'the queue gets its ticks from its provider',
    {
      subject: { queue },
      hint: tickerPaused ? `skytools queue resume ${queue}` : 'tick the queue of the root node',
    },
  );
}

export function registerQueueCommands(cli: Cli): void {
  const group = cli.group('queue', 'create, drop, configure, look at and tick queues');

  cli.action(
    group
      .command('create')
      .description('create a queue; fine if it exists')
      .argument('<queue>')
      .argument('[settings...]', `name=value: ${Object.keys(SETTINGS).join(', ')}`),
    [
      ['skytools queue create orders', 'a queue with the usual settings'],
      ['skytools queue create orders ticker-max-lag=1s rotation-period=1h', 'and with its own'],
    ],
    async (context, [queue, ...pairs]) => {
      if (queue === '') throw new UsageError('CLI_BAD_NAME', 'the name is empty', { hint: 'name the queue' });
      const settings = await parseSettings(pairs);
      const { configureQueue, createQueue } = await queues();
      const client = await context.connect();
      const created = await createQueue(client, queue!);
      if (pairs.length > 0) await configureQueue(client, queue!, settings);
      await context.done({ queue, created }, created ? `queue ${queue} created` : `queue ${queue} existed`);
    },
  );

  cli.action<{ force?: boolean; yes?: boolean; dryRun?: boolean }>(
    group
      .command('drop')
      .description('drop a queue with all its events')
      .argument('<queue>')
      .option('--force', 'unregister its consumers as well')
      .option('--yes', 'do not ask')
      .option('--dry-run', 'say what would be lost; change nothing'),
    [
      ['skytools queue drop orders --dry-run', 'what would be lost'],
      ['skytools queue drop orders --force --yes', 'with its consumers, without asking'],
    ],
    async (context, [queue], options) => {
      const { consumerStatus } = await import('../../pgq/status.ts');
      const status = await oneQueue(context, queue!);
      const client = await context.connect();
      const consumers = await consumerStatus(client, queue!);
      const pending = Math.max(0, ...consumers.map((consumer) => consumer.pendingEvents ?? 0));
      const losses = `${status.newEvents + pending} events not delivered yet, ${consumers.length} consumers${
        consumers.length > 0 ? ` (${consumers.map((consumer) => consumer.consumer).join(', ')})` : ''
      }`;
      if (options.dryRun) {
        return context.done({ queue, consumers: consumers.length, dropped: false }, `would lose ${losses}`);
      }
      await context.confirm(`Drop queue ${queue} with ${losses}?`, options.yes);
      const { dropQueue } = await queues();
      await dropQueue(client, queue!, options.force === true);
      await context.done({ queue, dropped: true }, `queue ${queue} dropped`);
    },
  );

  cli.action<{ dryRun?: boolean }>(
    group
      .command('config')
      .description('show or change the settings of a queue')
      .argument('<queue>')
      .argument('[settings...]', `name=value: ${Object.keys(SETTINGS).join(', ')}`)
      .option('--dry-run', 'check the settings; change nothing'),
    [
      ['skytools queue config orders', 'show them'],
      ['skytools queue config orders ticker-max-lag=500ms ticker-max-count=1000', 'change two'],
    ],
    async (context, [queue, ...pairs], options) => {
      const settings = await parseSettings(pairs);
      const before = await oneQueue(context, queue!);
      if (pairs.length > 0 && !options.dryRun) {
        const { configureQueue } = await queues();
        await configureQueue(await context.connect(), queue!, settings);
      }
      const status = pairs.length > 0 && !options.dryRun ? await oneQueue(context, queue!) : before;
      const values = Object.entries(SETTINGS).map(([name, [field, kind]]): [string, unknown] => {
        const value = status[field];
        return [name, kind === 'duration' ? formatSeconds(value as number) : value];
      });
      const json = Object.fromEntries(Object.values(SETTINGS).map(([field]) => [field, status[field]]));
      await context.record({ queue, ...json }, values);
    },
  );

  cli.action(
    group.command('list').description('all queues of the database'),
    [['skytools queue list', 'with their ticks, events and slowest consumer']],
    async (context) => {
      const { queueStatus } = await import('../../pgq/status.ts');
      await context.table(await queueStatus(await context.connect()), QUEUE_COLUMNS, 'no queues');
    },
  );

  cli.action(
    group.command('show').description('everything about one queue').argument('<queue>'),
    [['skytools queue show orders', 'settings, ticks, rotation, consumers']],
    async (context, [queue]) => {
      const status = await oneQueue(context, queue!);
      await context.record(status, [
        ['queue', status.queue],
        ['state', queueState(status)],
        ['last tick', `${status.lastTick ?? 'none'}, ${formatSeconds(status.tickerLagSeconds)} ago`],
        ['new events', status.newEvents],
        ['events/s', status.eventsPerSecond?.toFixed(1)],
        ['consumers', status.consumers],
        ['worst lag', formatSeconds(status.worstLagSeconds)],
        ['tick at', `${status.tickerMaxCount} events, or ${formatSeconds(status.tickerMaxLagSeconds)}`],
        ['idle tick', formatSeconds(status.tickerIdlePeriodSeconds)],
        ['tables', `${status.currentTable + 1} of ${status.tables}`],
        ['rotation', `every ${formatSeconds(status.rotationPeriodSeconds)}`],
        ['last rotation', status.lastRotation],
        ['inserts', status.insertDisabled ? 'disabled' : 'enabled'],
      ]);
    },
  );

  cli.action(
    group
      .command('tick')
      .description('tick the database once, or one queue whatever its settings')
      .argument('[queue]'),
    [
      ['skytools queue tick', 'every queue that is due'],
      ['skytools queue tick orders', 'this one in any case'],
    ],
    async (context, [queue]) => {
      const [{ forceTick, tick }, { Deadline }] = await Promise.all([
        import('../../pgq/ticker.ts'),
        import('../../platform/deadline.ts'),
      ]);
      const client = await context.connect();
      if (queue !== undefined) refuseTick(await oneQueue(context, queue));
      const { did } =
        queue === undefined
          ? await tick(client, Deadline.never())
          : await forceTick(client, queue, Deadline.never());
      await context.done(did, did.ticked === 1 ? '1 queue ticked' : `${did.ticked} queues ticked`);
    },
  );

  for (const [verb, tickerPaused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    cli.action(
      group
        .command(verb)
        .description(
          tickerPaused ? 'stop ticking a queue: its consumers get nothing new' : 'tick a queue again',
        )
        .argument('<queue>'),
      [[`skytools queue ${verb} orders`, tickerPaused ? 'events go on being accepted' : 'end of a pause']],
      async (context, [queue]) => {
        const { configureQueue } = await queues();
        await configureQueue(await context.connect(), queue!, { tickerPaused });
        await context.done({ queue, tickerPaused }, `queue ${queue} ${tickerPaused ? 'paused' : 'resumed'}`);
      },
    );
  }
}

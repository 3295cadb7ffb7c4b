import type { SeekTarget } from '../../pgq/queues.ts';
import type { ConsumerStatus } from '../../pgq/status.ts';
import { UsageError } from '../../platform/errors.ts';
import { type Cli, int8, positiveNumber } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { type Column, formatSeconds } from '../output.ts';
import { oneQueue } from './queue.ts';

const queues = () => import('../../pgq/queues.ts');
const status = () => import('../../pgq/status.ts');

export const CONSUMER_COLUMNS: Column<ConsumerStatus>[] = [
  { title: 'queue', value: (row) => row.queue },
  { title: 'consumer', value: (row) => row.consumer },
  { title: 'lag', value: (row) => formatSeconds(row.lagSeconds), align: 'right' },
  { title: 'last seen', value: (row) => formatSeconds(row.lastSeenSeconds), align: 'right' },
  { title: 'batch', value: (row) => row.currentBatch, align: 'right' },
  { title: 'pending', value: (row) => row.pendingEvents, align: 'right' },
  { title: 'retry', value: (row) => row.retryEvents, align: 'right' },
];

interface SeekFlags {
  tick?: bigint;
  time?: string;
  end?: boolean;
  yes?: boolean;
  dryRun?: boolean;
}

function seekTarget({ tick, time, end }: SeekFlags): SeekTarget {
  const given = [tick, time, end].filter((value) => value !== undefined).length;
  if (given !== 1) {
    throw new UsageError('CLI_SEEK_WHERE', 'say where to: one of --tick, --time, --end', {
      hint: "for example --time '2026-11-01 12:00Z'",
    });
  }
  if (tick !== undefined) return { tick };
  if (end) return { end: true };
  const date = new Date(time!);
  if (Number.isNaN(date.getTime())) {
    throw new UsageError('CLI_BAD_TIME', `"${time}" is no time`, {
      hint: 'ISO 8601, such as 2026-11-01T12:00:00Z',
    });
  }
  const microseconds = /\.\d{3}(\d{1,3})/.exec(time!)?.[1] ?? '';
  return { time: date.toISOString().replace('Z', `${microseconds}Z`) };
}

export const notSubscribed = (queue: string, consumer: string) =>
  new UsageError('PGQ_NOT_SUBSCRIBED', `${consumer} is not registered on queue ${queue}`, {
    subject: { queue, consumer },
    hint: 'skytools consumer list shows the consumers',
  });

export function registerConsumerCommands(cli: Cli): void {
  const group = cli.group('consumer', 'register, move, look at and remove consumers of a queue');

  cli.action<{ tick?: bigint; subconsumer?: string }>(
    group
      .command('register')
      .description('register a consumer; fine if it is registered')
      .argument('<queue>')
      .argument('<consumer>')
      .option('--tick <id>', 'start after this tick instead of the last one', int8)
      .option('--subconsumer <name>', 'register a member of a cooperative consumer'),
    [
      ['skytools consumer register orders mailer', 'gets events from now on'],
      ['skytools consumer register orders mailer --tick 4711', 'gets events after tick 4711'],
      ['skytools consumer register orders mailer --subconsumer 1', 'a member of a group'],
    ],
    async (context, [queue, consumer], options) => {
      const { registerConsumer, registerSubconsumer } = await queues();
      const client = await context.connect();
      const registered =
        options.subconsumer === undefined
          ? await registerConsumer(client, queue!, consumer!, options.tick)
          : await registerSubconsumer(client, queue!, consumer!, options.subconsumer);
      const name = options.subconsumer === undefined ? consumer : `${consumer}.${options.subconsumer}`;
      await context.done(
        { queue, consumer: name, registered },
        registered ? `${name} registered on ${queue}` : `${name} was registered on ${queue}`,
      );
    },
  );

  cli.action<{ yes?: boolean; dryRun?: boolean }>(
    group
      .command('unregister')
      .description('remove a consumer: what it has not consumed is lost to it')
      .argument('<queue>')
      .argument('<consumer>')
      .option('--yes', 'do not ask')
      .option('--dry-run', 'say what would be lost; change nothing'),
    [['skytools consumer unregister orders mailer', 'asks first, and says how many events wait for it']],
    async (context, [queue, consumer], options) => {
      const [{ unregisterConsumer }, { consumerStatus }, { countDeadLetters }] = await Promise.all([
        queues(),
        status(),
        import('../../pgq/dead-letters.ts'),
      ]);
      const client = await context.connect();
      const [found] = await consumerStatus(client, queue!, consumer!);
      if (!found)
        return context.done({ queue, consumer, removed: 0 }, `${consumer} is not registered on ${queue}`);
      const dead = (await countDeadLetters(client, queue!)).find((row) => row.consumer === consumer);
      const losses = `${found.pendingEvents ?? 0} events pending, ${found.retryEvents ?? 0} waiting for retry, ${dead?.events ?? 0} dead letters`;
      if (options.dryRun) return context.done({ queue, consumer, removed: 0 }, `would lose ${losses}`);
      await context.confirm(`Unregister ${consumer} with ${losses}?`, options.yes);
      const removed = await unregisterConsumer(client, queue!, consumer!);
      await context.done({ queue, consumer, removed }, `${removed} registrations removed`);
    },
  );

  cli.action(
    group.command('list').description('consumers of all queues, or of one').argument('[queue]'),
    [
      ['skytools consumer list', 'all'],
      ['skytools consumer list orders', 'of one queue'],
    ],
    async (context, [queue]) => {
      const { consumerStatus } = await status();
      if (queue !== undefined) await oneQueue(context, queue);
      await context.table(
        await consumerStatus(await context.connect(), queue),
        CONSUMER_COLUMNS,
        'no consumers',
      );
    },
  );

  cli.action(
    group
      .command('show')
      .description('everything about one consumer')
      .argument('<queue>')
      .argument('<consumer>'),
    [['skytools consumer show orders mailer', 'position, open batch, lag, retries']],
    async (context, [queue, consumer]) => {
      const { consumerStatus } = await status();
      const [found] = await consumerStatus(await context.connect(), queue!, consumer!);
      if (!found) throw notSubscribed(queue!, consumer!);
      await context.record(found, [
        ['queue', found.queue],
        ['consumer', found.consumer],
        ['lag', formatSeconds(found.lagSeconds)],
        ['last seen', `${formatSeconds(found.lastSeenSeconds)} ago`],
        ['last tick', found.lastTick],
        ['open batch', found.currentBatch ?? 'none'],
        ['ends at tick', found.nextTick],
        ['pending', found.pendingEvents],
        ['retry', found.retryEvents],
        ['at work', found.leaseHolder ?? 'nobody'],
      ]);
    },
  );

  cli.action<{ max?: number }>(
    group
      .command('lag')
      .description('consumers by lag, slowest first')
      .argument('[queue]')
      .option('--max <seconds>', 'exit code 3 if any lag is greater', positiveNumber),
    [['skytools consumer lag --max 300', 'for a monitoring check']],
    async (context, [queue], options) => {
      const { consumerStatus } = await status();
      if (queue !== undefined) await oneQueue(context, queue);
      const rows = await consumerStatus(await context.connect(), queue);
      rows.sort((a, b) => (b.lagSeconds ?? 0) - (a.lagSeconds ?? 0));
      await context.table(rows, CONSUMER_COLUMNS, 'no consumers');
      const late = options.max !== undefined && rows.some((row) => (row.lagSeconds ?? 0) > options.max!);
      return late ? EXIT.unhealthy : EXIT.ok;
    },
  );

  cli.action<SeekFlags>(
    group
      .command('seek')
      .description('move a consumer: back to get events again, forward to skip them')
      .argument('<queue>')
      .argument('<consumer>')
      .option('--tick <id>', 'to just after this tick', int8)
      .option('--time <time>', 'to the last tick at or before this time')
      .option('--end', 'to the last tick')
      .option('--yes', 'do not ask')
      .option('--dry-run', 'say what would be done; change nothing'),
    [
      ["skytools consumer seek orders mailer --time '2026-11-01T12:00:00Z'", 'deliver again since then'],
      ['skytools consumer seek orders mailer --end --yes', 'skip everything that waits'],
    ],
    async (context, [queue, consumer], options) => {
      const target = seekTarget(options);
      const [{ seekConsumer }, { consumerStatus }] = await Promise.all([queues(), status()]);
      const client = await context.connect();
      const [found] = await consumerStatus(client, queue!, consumer!);
      if (!found) throw notSubscribed(queue!, consumer!);
      const from = `tick ${found.lastTick ?? 'none'}${found.currentBatch ? `, dropping its open batch ${found.currentBatch}` : ''}`;
      if (options.dryRun) {
        return context.done(
          { queue, consumer, from: found.lastTick, moved: false },
          `would move ${consumer} from ${from}`,
        );
      }
      await context.confirm(`Move ${consumer} on ${queue} from ${from}?`, options.yes);
      const tick = await seekConsumer(client, queue!, consumer!, target);
      await context.done(
        { queue, consumer, from: found.lastTick, tick, moved: true },
        `${consumer} is at tick ${tick}`,
      );
    },
  );
}

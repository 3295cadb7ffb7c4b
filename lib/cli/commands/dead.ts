import { InvalidArgumentError } from 'commander';
import type { DeadLetter, DeadLetterCount, Which } from '../../pgq/dead-letters.ts';
import { parseDuration } from '../../platform/duration.ts';
import { UsageError } from '../../platform/errors.ts';
import { type Cli, int8, wholeNumber } from '../cli.ts';
import { type Column, formatSeconds } from '../output.ts';
import { oneQueue } from './queue.ts';

const deadLetters = () => import('../../pgq/dead-letters.ts');

const COUNTS: Column<DeadLetterCount>[] = [
  { title: 'queue', value: (row) => row.queue },
  { title: 'consumer', value: (row) => row.consumer },
  { title: 'events', value: (row) => row.events, align: 'right' },
];

const LETTERS: Column<DeadLetter>[] = [
  { title: 'id', value: (row) => row.id, align: 'right' },
  { title: 'failed', value: (row) => row.failedAt },
  { title: 'retries', value: (row) => row.retries, align: 'right' },
  { title: 'reason', value: (row) => row.reason },
  { title: 'type', value: (row) => row.type },
  { title: 'data', value: (row) => row.data },
];

interface WhichFlags {
  all?: boolean;
  yes?: boolean;
  dryRun?: boolean;
}

interface PolicyFlags {
  retries?: number;
  base: number;
  maximum: number;
  jitter: number;
  off?: boolean;
}

function seconds(text: string): number {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined) throw new InvalidArgumentError('not a duration such as 10s or 1h');
  return milliseconds / 1000;
}

/** No limit: the largest int4. */
const MOST = 2 ** 31 - 1;

function which(ids: readonly string[], all: boolean | undefined): Which {
  if (ids.length > 0 === (all === true)) {
    throw new UsageError('CLI_WHICH_EVENTS', 'give either the ids of events or --all', {
      hint: 'skytools dead list QUEUE CONSUMER shows the ids',
    });
  }
  return all ? { all: true } : { ids: ids.map(int8) };
}

export function registerDeadCommands(cli: Cli): void {
  const group = cli.group(
    'dead',
    'events that consumers have given up: list, replay, purge, and when it comes to that',
  );

  cli.action<{ limit: number }>(
    group
      .command('list')
      .description('consumers with dead letters, or the dead letters of one')
      .argument('[queue]')
      .argument('[consumer]')
      .option('--limit <n>', 'most events shown', wholeNumber, 100),
    [
      ['skytools dead list', 'how many, for each consumer'],
      ['skytools dead list orders mailer', 'with reason and time'],
    ],
    async (context, [queue, consumer], options) => {
      const { countDeadLetters, listDeadLetters } = await deadLetters();
      const client = await context.connect();
      if (consumer === undefined) {
        if (queue !== undefined) await oneQueue(context, queue);
        return context.table(await countDeadLetters(client, queue), COUNTS, 'no dead letters');
      }
      await context.table(
        await listDeadLetters(client, queue!, consumer, options.limit),
        LETTERS,
        'no dead letters',
      );
    },
  );

  cli.action<WhichFlags>(
    group
      .command('replay')
      .description('put dead letters back into their queue, for their consumer alone')
      .argument('<queue>')
      .argument('<consumer>')
      .argument('[ids...]', 'ids of events')
      .option('--all', 'all of them')
      .option('--dry-run', 'say how many; change nothing'),
    [
      ['skytools dead replay orders mailer 4711 4712', 'two of them'],
      ['skytools dead replay orders mailer --all', 'all, once their cause is mended'],
    ],
    async (context, [queue, consumer, ...ids], options) => {
      const { listDeadLetters, replayDeadLetters } = await deadLetters();
      const chosen = which(ids, options.all);
      const client = await context.connect();
      if (options.dryRun) {
        const found = await listDeadLetters(client, queue!, consumer!, MOST);
        const events = 'all' in chosen ? found.length : chosen.ids.length;
        return context.done({ queue, consumer, replayed: 0, events }, `would put back ${events} events`);
      }
      const replayed = await replayDeadLetters(client, queue!, consumer!, chosen);
      await context.done(
        { queue, consumer, replayed },
        `${replayed} events put back; they come with the next tick`,
      );
    },
  );

  cli.action<WhichFlags>(
    group
      .command('purge')
      .description('throw dead letters away')
      .argument('<queue>')
      .argument('<consumer>')
      .argument('[ids...]', 'ids of events')
      .option('--all', 'all of them')
      .option('--yes', 'do not ask')
      .option('--dry-run', 'say what would be lost; change nothing'),
    [['skytools dead purge orders mailer 4711', 'asks first']],
    async (context, [queue, consumer, ...ids], options) => {
      const { listDeadLetters, purgeDeadLetters } = await deadLetters();
      const chosen = which(ids, options.all);
      const client = await context.connect();
      const found = await listDeadLetters(client, queue!, consumer!, MOST);
      const events =
        'all' in chosen ? found.length : found.filter((letter) => chosen.ids.includes(letter.id)).length;
      if (options.dryRun)
        return context.done({ queue, consumer, purged: 0, events }, `would lose ${events} events`);
      if ('all' in chosen && events === 0)
        return context.done({ queue, consumer, purged: 0 }, 'no dead letters');
      await context.confirm(`Throw away ${events} dead letters of ${consumer} on ${queue}?`, options.yes);
      const purged = await purgeDeadLetters(client, queue!, consumer!, chosen);
      await context.done({ queue, consumer, purged }, `${purged} events thrown away`);
    },
  );

  cli.action<PolicyFlags>(
    group
      .command('policy')
      .description(
        'show or set how often, and after how long, a failed event comes back before it is given up',
      )
      .argument('<queue>')
      .argument('<consumer>')
      .option('--retries <n>', 'how often', wholeNumber)
      .option('--base <time>', 'before the first repetition; it doubles each time', seconds, 10)
      .option('--maximum <time>', 'longest time', seconds, 3600)
      .option('--jitter <part>', 'largest part of the time, 0 to 1, left out at random', Number, 0.2)
      .option('--off', 'forget the policy: failed events are given up at once'),
    [
      ['skytools dead policy orders mailer', 'show it'],
      [
        'skytools dead policy orders mailer --retries 8 --base 5s --maximum 30m',
        'about two hours of attempts',
      ],
    ],
    async (context, [queue, consumer], options) => {
      const { retryPolicy, setRetryPolicy } = await deadLetters();
      const client = await context.connect();
      if (options.off) await setRetryPolicy(client, queue!, consumer!, undefined);
      else if (options.retries !== undefined) {
        await setRetryPolicy(client, queue!, consumer!, {
          maxRetries: options.retries,
          baseSeconds: options.base,
          maximumSeconds: options.maximum,
          jitter: options.jitter,
        });
      }
      const policy = await retryPolicy(client, queue!, consumer!);
      await context.record({ queue, consumer, policy: policy ?? null }, [
        ['retries', policy?.maxRetries ?? 'none: given up at once'],
        ['base', formatSeconds(policy?.baseSeconds)],
        ['maximum', formatSeconds(policy?.maximumSeconds)],
        ['jitter', policy?.jitter],
      ]);
    },
  );
}

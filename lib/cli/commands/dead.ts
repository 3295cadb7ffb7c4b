import { InvalidArgumentError } from 'commander';
import type { DeadLetter, DeadLetterCount, RetryPolicy, Which } from '../../pgq/dead-letters.ts';
import { parseDuration } from '../../platform/duration.ts';
import { UsageError } from '../../platform/errors.ts';
import { type Cli, int8Arguments, positiveNumber, wholeNumber } from '../cli.ts';
import { type Column, formatSeconds } from '../output.ts';
import { notSubscribed } from './consumer.ts';
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
  base?: number;
  maximum?: number;
  jitter?: number;
  off?: boolean;
}

/** Where neither the command nor the policy that there is says anything else. */
const USUAL: Omit<RetryPolicy, 'maxRetries'> = { baseSeconds: 10, maximumSeconds: 3600, jitter: 0.2 };

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
  return all ? { all: true } : { ids: int8Arguments(ids) };
}

/**
 * The letters that are meant, of all that there are.
 *
 * @throws UsageError PGQ_EVENT_MISSING for an id that is none of theirs
 */
function chosenOf(letters: readonly DeadLetter[], chosen: Which): readonly DeadLetter[] {
  if ('all' in chosen) return letters;
  const found = letters.filter((letter) => chosen.ids.includes(letter.id));
  const missing = chosen.ids.filter((id) => !letters.some((letter) => letter.id === id));
  if (missing.length === 0) return found;
  throw new UsageError('PGQ_EVENT_MISSING', `no dead letter ${missing.join(', ')}`, {
    hint: 'skytools dead list QUEUE CONSUMER shows the ids',
  });
}

const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

function jitter(text: string): number {
  const part = positiveNumber(text);
  if (part > 1) throw new InvalidArgumentError('0 to 1');
  return part;
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
        const found = chosenOf(await listDeadLetters(client, queue!, consumer!, MOST), chosen);
        return context.done(
          { queue, consumer, replayed: 0, events: found.length },
          `would put back ${counted(found.length, 'event')}`,
        );
      }
      const replayed = await replayDeadLetters(client, queue!, consumer!, chosen);
      await context.done(
        { queue, consumer, replayed },
        replayed === 0 ? 'no dead letters' : `${counted(replayed, 'event')} put back, for the next tick`,
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
      const events = chosenOf(await listDeadLetters(client, queue!, consumer!, MOST), chosen).length;
      if (options.dryRun)
        return context.done({ queue, consumer, purged: 0, events }, `would lose ${counted(events, 'event')}`);
      if (events === 0) return context.done({ queue, consumer, purged: 0 }, 'no dead letters');
      await context.confirm(
        `Throw away ${counted(events, 'dead letter')} of ${consumer} on ${queue}?`,
        options.yes,
      );
      const purged = await purgeDeadLetters(client, queue!, consumer!, chosen);
      await context.done({ queue, consumer, purged }, `${counted(purged, 'event')} thrown away`);
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
      .option('--base <time>', 'before the first repetition (10s); it doubles each time', seconds)
      .option('--maximum <time>', 'longest time (1h)', seconds)
      .option('--jitter <part>', 'largest part of the time, 0 to 1, left out at random (0.2)', jitter)
      .option('--off', 'forget the policy: failed events are given up at once'),
    [
      ['skytools dead policy orders mailer', 'show it'],
      [
        'skytools dead policy orders mailer --retries 8 --base 5s --maximum 30m',
        'about two hours of attempts',
      ],
    ],
    async (context, [queue, consumer], options) => {
      const [{ retryPolicy, setRetryPolicy }, { consumerStatus }] = await Promise.all([
        deadLetters(),
        import('../../pgq/status.ts'),
      ]);
      const client = await context.connect();
      if ((await consumerStatus(client, queue!, consumer!)).length === 0)
        throw notSubscribed(queue!, consumer!);
      const { off, retries, base, maximum, jitter } = options;
      const given = [retries, base, maximum, jitter].some((value) => value !== undefined);
      if (off && given) {
        throw new UsageError('CLI_POLICY_OFF', '--off goes with no other setting', {
          hint: 'leave it out to set a policy',
        });
      }
      if (off) await setRetryPolicy(client, queue!, consumer!, undefined);
      else if (given) {
        const before = await retryPolicy(client, queue!, consumer!);
        const maxRetries = retries ?? before?.maxRetries;
        if (maxRetries === undefined) {
          throw new UsageError('CLI_POLICY_RETRIES', 'the consumer has no policy yet: say how often', {
            hint: 'for example --retries 5',
          });
        }
        await setRetryPolicy(client, queue!, consumer!, {
          maxRetries,
          baseSeconds: base ?? before?.baseSeconds ?? USUAL.baseSeconds,
          maximumSeconds: maximum ?? before?.maximumSeconds ?? USUAL.maximumSeconds,
          jitter: jitter ?? before?.jitter ?? USUAL.jitter,
        });
      }
      const policy = await retryPolicy(client, queue!, consumer!);
      await context.record(
        { queue, consumer, policy: policy ?? null },
        policy === undefined
          ? [['retries', 'none: given up at once']]
          : [
              ['retries', policy.maxRetries],
              ['base', formatSeconds(policy.baseSeconds)],
              ['maximum', formatSeconds(policy.maximumSeconds)],
              ['jitter', policy.jitter],
            ],
      );
    },
  );
}

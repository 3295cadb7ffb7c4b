import { setTimeout as sleep } from 'node:timers/promises';
import { styleText } from 'node:util';
import { InvalidArgumentError } from 'commander';
import type { ConsumerStatus } from '../../pgq/status.ts';
import type { Cli } from '../cli.ts';
import type { CommandContext } from '../context.ts';
import { type Column, formatSeconds, formatTable } from '../output.ts';
import { CONSUMER_COLUMNS } from './consumer.ts';
import { noSuchQueue, QUEUE_COLUMNS } from './queue.ts';

interface TopFlags {
  interval: number;
  once?: boolean;
  queue?: string;
}

/** Shortest time between two looks, in seconds: a look costs the database some milliseconds. */
const LEAST_INTERVAL = 0.25;

/** The terminal's second screen, without cursor; and back. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
/** To the top left; to the end of each line and of the screen nothing of the last picture is left. */
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

function interval(text: string): number {
  const seconds = Number(text.replace(/s$/, ''));
  if (Number.isNaN(seconds) || seconds < LEAST_INTERVAL)
    throw new InvalidArgumentError(`seconds, at least ${LEAST_INTERVAL}`);
  return seconds;
}

/** Ticks that a consumer finished since the last look, in a second. */
type Rates = ReadonlyMap<string, number>;

const key = (row: ConsumerStatus) => `${row.queue}\0${row.consumer}`;

function consumerColumns(rates: Rates): Column<ConsumerStatus>[] {
  const rate = (row: ConsumerStatus) => rates.get(key(row))?.toFixed(1);
  return [...CONSUMER_COLUMNS, { title: 'ticks/s', value: rate, align: 'right' }];
}

export function registerTopCommand(cli: Cli): void {
  cli.action<TopFlags>(
    cli.program
      .command('top')
      .description('queues and consumers, live: lag, rates, open batches; q or Ctrl-C ends it')
      .option('--interval <seconds>', 'between two looks', interval, 2)
      .option('--queue <queue>', 'only this queue')
      .option('--once', 'print once and end'),
    [
      ['skytools top --database shop', 'refreshed every two seconds'],
      ['skytools top --once', 'for a log'],
    ],
    async (context, _args, options) => {
      const { consumerStatus, queueStatus } = await import('../../pgq/status.ts');
      const client = await context.connect();
      const live = !options.once && context.io.stdout.isTTY === true && !context.json;
      const stop = new AbortController();
      const signal = AbortSignal.any([context.signal, stop.signal]);
      const restore = live ? enterScreen(context, () => stop.abort()) : () => {};
      let before: { at: number; consumers: ConsumerStatus[] } | undefined;
      try {
        for (;;) {
          const queues = await queueStatus(client, options.queue);
          if (options.queue !== undefined && queues.length === 0) throw noSuchQueue(options.queue);
          const consumers = await consumerStatus(client, options.queue);
          consumers.sort((a, b) => (b.lagSeconds ?? 0) - (a.lagSeconds ?? 0));
          const at = performance.now();
          const rates = before ? tickRates(before.consumers, consumers, (at - before.at) / 1000) : new Map();
          before = { at, consumers };
          if (context.json) await context.record({ queues, consumers }, []);
          else
            draw(context, live, [
              heading(await context.target(), consumers),
              formatTable(queues, QUEUE_COLUMNS, { form: 'plain', color: false }),
              formatTable(consumers, consumerColumns(rates), { form: 'plain', color: false }),
            ]);
          if (options.once || signal.aborted) return;
          await sleep(options.interval * 1000, undefined, { signal }).catch(() => {});
          if (signal.aborted) return;
        }
      } finally {
        restore();
      }
    },
    { endsItself: true },
  );
}

function tickRates(
  before: readonly ConsumerStatus[],
  now: readonly ConsumerStatus[],
  seconds: number,
): Rates {
  const last = new Map(before.map((row) => [key(row), row.lastTick]));
  return new Map(
    now.flatMap((row): [string, number][] => {
      const from = last.get(key(row));
      return from === undefined || row.lastTick === undefined
        ? []
        : [[key(row), Number(row.lastTick - from) / seconds]];
    }),
  );
}

function heading({ name }: { name: string }, consumers: readonly ConsumerStatus[]): string {
  const worst = formatSeconds(Math.max(0, ...consumers.map((row) => row.lagSeconds ?? 0)));
  const count = consumers.length === 1 ? '1 consumer' : `${consumers.length} consumers`;
  return `${name}  ${new Date().toISOString()}  ${count}, worst lag ${worst}\n`;
}

/** Overwrites the last picture instead of clearing it first, which would flicker. What is beyond the screen is left out. */
function draw(context: CommandContext, live: boolean, parts: readonly string[]): void {
  const text = parts.join('\n');
  if (!live) {
    context.write(`${text}\n`);
    return;
  }
  const screen = context.io.stdout as { rows?: number; columns?: number };
  // A terminal that nobody has told its size says 0.
  const rows = screen.rows || 24;
  const columns = screen.columns || 80;
  const [heading, ...lines] = text
    .split('\n')
    .slice(0, rows - 1)
    .map((line) => line.slice(0, columns));
  const picture = [context.color ? styleText('bold', heading!) : heading, ...lines];
  context.write(`${HOME}${picture.map((line) => `${line}${CLEAR_LINE}`).join('\n')}${CLEAR_BELOW}`);
}

function enterScreen(context: CommandContext, quit: () => void): () => void {
  const { stdin } = context.io;
  const terminal = stdin as typeof stdin & { setRawMode?: (raw: boolean) => void };
  const onKey = (data: Buffer) => {
    // In raw mode Ctrl-C is a character.
    if (/[q\u0003]/i.test(data.toString())) quit();
  };
  if (stdin.isTTY) {
    terminal.setRawMode?.(true);
    stdin.on('data', onKey);
  }
  context.write(ENTER);
  return () => {
    context.write(LEAVE);
    if (!stdin.isTTY) return;
    stdin.off('data', onKey);
    terminal.setRawMode?.(false);
    stdin.pause();
  };
}

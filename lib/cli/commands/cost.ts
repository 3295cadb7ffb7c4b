import { InvalidArgumentError } from 'commander';
import type { Forecast } from '../../local/simulation/deployment.ts';
import { type Cli, wholeNumber } from '../cli.ts';
import { type Column, formatSeconds } from '../output.ts';

interface CostFlags {
  queues: number;
  databases: number;
  consumers: number;
  rate: number;
  tick: number;
  copyTerabytes: number;
}

function atLeast(minimum: number) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= minimum) || value === Number.POSITIVE_INFINITY)
      throw new InvalidArgumentError(`a number, at least ${minimum}`);
    return value;
  };
}

function count(text: string): number {
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError('a whole number, at least 1');
  return value;
}

function tickSeconds(text: string): number {
  const value = atLeast(1)(text);
  if (value > 60) throw new InvalidArgumentError('seconds, from 1 to 60');
  return value;
}

const LIMIT_COLUMNS: Column<Forecast['limits'][number]>[] = [
  { title: 'limit', value: (row) => row.limit },
  { title: 'use', value: (row) => row.use.toPrecision(3), align: 'right' },
  { title: 'allowed', value: (row) => row.allowed, align: 'right' },
  { title: 'share', value: (row) => `${Math.round(row.share * 100)} %`, align: 'right' },
];

export function registerCostCommand(cli: Cli): void {
  cli.action<CostFlags>(
    cli.program
      .command('cost')
      .description('simulate a deployment: latency, concurrency, connections and dollars a month')
      .option('--queues <n>', 'queues, in all databases together', count, 10)
      .option('--databases <n>', 'databases', count, 1)
      .option('--consumers <n>', 'consumers of each queue', count, 1)
      .option('--rate <events>', 'events a second, in all queues together', atLeast(0), 100)
      .option('--tick <seconds>', 'between two ticks of a database, 1 to 60', tickSeconds, 5)
      .option('--copy-terabytes <n>', 'tables to be copied once', atLeast(0), 0),
    [
      ['skytools cost --queues 1000 --databases 10 --rate 500', 'prices of us-east-1, without a free tier'],
      ['skytools cost --queues 10 --rate 50 --tick 1 --json | jq .dollarsPerMonth', 'for a program'],
    ],
    async (context, _args, options) => {
      const { simulateDeployment } = await import('../../local/simulation/deployment.ts');
      const result = simulateDeployment({
        databases: options.databases,
        queues: options.queues,
        consumersPerQueue: options.consumers,
        eventsPerSecond: options.rate,
        tickSeconds: options.tick,
        copyBytes: options.copyTerabytes * 1e12,
      });
      const { latencySeconds: latency, dollarsPerMonth: dollars, concurrency } = result;
      const money = (value: number) => `$${value.toFixed(2)}`;
      await context.record(result, [
        ['latency p50 / p99', latency && `${formatSeconds(latency.p50)} / ${formatSeconds(latency.p99)}`],
        ['invocations a month', result.invocationsPerMonth.toLocaleString('en-US')],
        ['concurrency mean / peak', `${concurrency.mean.toFixed(1)} / ${concurrency.peak}`],
        ['connections to one database', result.connectionsPeak],
        ['lambda', money(dollars.lambda)],
        ['sqs', money(dollars.sqs)],
        ['logs', money(dollars.logs)],
        ['dollars a month', money(dollars.total)],
        ...(options.copyTerabytes > 0
          ? ([
              ['copy', `${result.copyHours.toFixed(1)} hours, ${money(result.copyDollars)} of lambda once`],
            ] as const)
          : []),
      ]);
      if (context.json) return;
      context.write('\n');
      await context.table(result.limits, LIMIT_COLUMNS);
      const [nearest] = result.limits;
      if (result.overloaded) context.warn('work arrives faster than it is done: latency grows without end');
      context.note(`the limit that comes first: ${nearest!.limit}; ${nearest!.remedy}`);
    },
  );
}

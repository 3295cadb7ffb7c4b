import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../../platform/duration.ts';
import { type Cli, wholeNumber } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { packageDirectory, packageVersion } from '../version.ts';

interface LocalFlags {
  for?: number;
  rate: number;
  chaos?: boolean;
  seed?: number;
  keep?: string;
}

/** `250ms`, `30s`, `5m` in milliseconds. */
function time(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('not a duration such as 30s or 5m');
  return ms;
}

function rate(text: string): number {
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError('at least 1');
  return value;
}

export function registerLocalCommand(cli: Cli): void {
  cli.action<LocalFlags>(
    cli.program
      .command('local')
      .description(
        'run the whole flow on this machine: two databases, a queue, the built functions, and rows that change',
      )
      .option('--for <time>', 'end the changes after this time (default: on Ctrl-C)', time)
      .option('--rate <n>', 'row changes a second', rate, 200)
      .option('--chaos', 'kill handlers, cut connections, lose, repeat and delay messages at random')
      .option('--seed <n>', 'seed of the changes and of the chaos (default: a random one)', wholeNumber)
      .option('--keep <dir>', "keep both databases and the functions' log in a new directory"),
    [
      ['skytools local', 'until Ctrl-C; then both databases are compared row by row'],
      ['skytools local --for 30s --rate 1000', 'half a minute, a thousand row changes a second'],
      ['skytools local --for 1m --chaos --seed 7', 'with faults of every kind; the seed repeats the choices'],
    ],
    async (context, _args, options) => {
      const [{ runDemo }, { DemoReport }] = await Promise.all([
        import('../../local/demo/demo.ts'),
        import('../../local/demo/report.ts'),
      ]);
      const report = new DemoReport(context);
      const result = await runDemo(
        {
          functions: `${packageDirectory()}/dist/functions`,
          version: packageVersion(),
          rate: options.rate,
          forMs: options.for,
          signal: context.signal,
          seed: options.seed ?? Math.floor(Math.random() * 1_000_000),
          chaos: options.chaos === true,
          keep: options.keep,
        },
        report,
      );
      report.result(result);
      return result.identical ? EXIT.ok : EXIT.fault;
    },
    { endsItself: true },
  );
}

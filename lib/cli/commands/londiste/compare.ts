import type { Command } from 'commander';
import type { ComparedTable } from '../../../londiste/compare/compare.ts';
import { UsageError } from '../../../platform/errors.ts';
import { type Cli, wholeNumber } from '../../cli.ts';
import { EXIT } from '../../exit.ts';
import type { Column } from '../../output.ts';
import { countingBar, londisteContext, patience } from './scope.ts';

interface CompareFlags {
  countOnly?: boolean;
  cksumFunc?: string;
  sql?: string;
  timeout: number;
}

/** How long the subscriber may take to come to the point: while ticks are held, and once before. */
const TIMEOUT_SECONDS = 30;

const COLUMNS: Column<ComparedTable>[] = [
  { title: 'table', value: (row) => row.table },
  { title: 'result', value: (row) => row.result },
  { title: 'source', value: (row) => row.sourceResult && `${row.source}: ${row.sourceResult}` },
  { title: 'here', value: (row) => row.targetResult },
  { title: 'tick', value: (row) => row.tick, align: 'right' },
];

/** compare. */
export function registerCompareCommand(cli: Cli, group: Command): void {
  cli.action<CompareFlags>(
    group
      .command('compare')
      .description(
        'compare tables of this node with those they come from, at the same logical point; exit code 3 if any differs',
      )
      .argument('<queue>')
      .argument('[table...]', 'names, or masks with * and ? (default: every subscribed table)')
      .option('--count-only', 'numbers of rows only')
      .option(
        '--cksum-func <name>',
        'function of a row’s text that gives a number (default: hashtextextended)',
      )
      .option('--sql <query>', 'a query of your own, with _TABLE_ and _COLS_ (a row) in it')
      .option(
        '--timeout <seconds>',
        'give up if the subscriber does not come to the point; new ticks of the set wait meanwhile',
        wholeNumber,
        TIMEOUT_SECONDS,
      ),
    [
      [
        'skytools londiste compare shop --database berlin',
        'every table; writers of the root are not disturbed',
      ],
      ['skytools londiste compare shop orders --count-only --database berlin', 'quicker'],
      [
        "skytools londiste compare shop orders --sql 'select count(*), sum(hashtext(_COLS_::text)) from _TABLE_' --database berlin",
        'a checksum of your own',
      ],
    ],
    async (context, [queue, ...tables], options) => {
      const { compareTables } = await import('../../../londiste/compare/compare.ts');
      if (options.sql !== undefined && (options.countOnly || options.cksumFunc !== undefined)) {
        throw new UsageError('CLI_COMPARE_SQL', '--sql goes with neither --count-only nor --cksum-func', {
          hint: 'give one of them',
        });
      }
      const { client, scope } = await londisteContext(context);
      const bar = await countingBar(context, '{bar} {value} tables compared, {duration_formatted}');
      let count = 0;
      bar.update(0, tables.length);
      const compared = await compareTables(
        scope,
        client,
        {
          queue: queue!,
          tables,
          countOnly: options.countOnly,
          checksumFunction: options.cksumFunc,
          sql: options.sql,
          holdMs: options.timeout * 1000,
        },
        patience(context, options.timeout),
        () => bar.update(++count, tables.length),
      ).finally(() => bar.stop());
      for (const { table, result, note } of compared) {
        if (note !== null)
          context.warn(result === 'skipped' ? `${table} skipped: ${note}` : `${table}: ${note}`);
      }
      await context.table(compared, COLUMNS, 'no tables are subscribed');
      for (const { table } of compared.filter(({ result }) => result === 'different'))
        context.note(`${table}: results do not match`);
      return compared.some(({ result }) => result === 'different') ? EXIT.unhealthy : EXIT.ok;
    },
  );
}

import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { EXIT } from '../../exit.ts';
import { formatBytes } from '../../output.ts';
import { type ArchiveOptions, withArchive, withArchiveOptions } from './archive.ts';

/** What an archive holds, and whether it is whole. */
export function registerInspectCommands(cli: Cli, wal: Command): void {
  cli.action(
    withArchiveOptions(
      wal.command('show').description('show what an archive holds, and its gaps (exit 3 if there are any)'),
    ),
    [['skytools wal show --archive s3://backups/main', 'from the listing of the bucket alone']],
    async (context, _args, options: ArchiveOptions) =>
      withArchive(context, options, async (archive) => {
        const { checkArchive } = await import('../../../walmgr/verify.ts');
        const report = await checkArchive(archive);
        const { systemIdentifier, segmentSize, major } = archive.identity;
        if (context.json) await context.record({ systemIdentifier, segmentSize, major, ...report }, []);
        else {
          await context.record({}, [
            ['system identifier', systemIdentifier],
            ['postgresql', major],
            ['segment size', formatBytes(segmentSize)],
            ['segments', report.segments],
            ['stored', formatBytes(report.bytes)],
            ['timelines', report.timelines.join(', ')],
            [
              'backups',
              report.backups.map((backup) => `${backup.name} (${backup.state})`).join(', ') || 'none',
            ],
          ]);
          await context.table(report.ranges, [
            { title: 'Timeline', value: (range) => range.timeline, align: 'right' },
            { title: 'From', value: (range) => range.first },
            { title: 'To', value: (range) => range.last },
            { title: 'Segments', value: (range) => range.count, align: 'right' },
            { title: 'Stored', value: (range) => formatBytes(range.bytes), align: 'right' },
          ]);
          for (const gap of report.gaps) {
            context.warn(`timeline ${gap.timeline} lacks ${gap.count} segments: ${gap.first} to ${gap.last}`);
          }
        }
        const damaged = report.backups.some((backup) => backup.state === 'damaged');
        return report.gaps.length > 0 || damaged ? EXIT.unhealthy : EXIT.ok;
      }),
  );

  cli.action(
    withArchiveOptions(
      wal
        .command('verify')
        .description('read every WAL file back and check it as recovery would (exit 3 if one is damaged)')
        .option('--from <name>', 'leave out the names before this one'),
    ),
    [['skytools wal verify --cluster main', 'downloads everything: run it near the bucket']],
    async (context, _args, options: ArchiveOptions & { from?: string }) =>
      withArchive(context, options, async (archive) => {
        const { scrub } = await import('../../../walmgr/verify.ts');
        const result = await scrub(archive, options.from === undefined ? {} : { from: options.from });
        for (const file of result.damaged) context.warn(`${file.name}: ${file.problem}`);
        await context.done(result, `${result.checked} files read, ${result.damaged.length} damaged`);
        return result.damaged.length > 0 ? EXIT.unhealthy : EXIT.ok;
      }),
  );
}

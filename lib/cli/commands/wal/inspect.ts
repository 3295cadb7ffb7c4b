import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import type { CommandContext } from '../../context.ts';
import { EXIT } from '../../exit.ts';
import { formatBytes } from '../../output.ts';
import { type ArchiveOptions, withArchive, withArchiveOptions } from './archive.ts';

/** The database with the checkpoints of the cluster that is named, if any. */
async function checkpointDatabase(
  context: CommandContext,
  options: ArchiveOptions,
): Promise<string | undefined> {
  if (options.cluster === undefined) return undefined;
  const { clusterConfig } = await import('../../../walmgr/config.ts');
  return clusterConfig(await context.config(), options.cluster).database;
}

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
        .command('catalogue')
        .description("write the archive's catalogue.json anew from its listing, and schema walmgr with it"),
    ),
    [
      ['skytools wal catalogue --archive s3://backups/main', 'the object alone'],
      ['skytools wal catalogue --cluster main', 'also the tables in the database of the cluster'],
    ],
    async (context, _args, options: ArchiveOptions) =>
      withArchive(context, options, async (archive, location) => {
        const { registerListing, writeCatalogue } = await import('../../../walmgr/catalogue.ts');
        const report = await writeCatalogue(archive);
        const database = await checkpointDatabase(context, options);
        let registered = 0;
        if (options.cluster !== undefined && database !== undefined) {
          const { Checkpoint } = await import('../../../walmgr/checkpoint.ts');
          const client = await context.connect(await context.configured(database));
          const checkpoint = new Checkpoint(client, options.cluster);
          await checkpoint.registerCluster(archive, location);
          registered = await registerListing(archive, report, checkpoint);
        }
        await context.done(
          { ...report, registered },
          `${report.segments} segments and ${report.backups.length} backups listed${
            database === undefined ? '' : `, ${registered} files registered in ${database}`
          }`,
        );
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

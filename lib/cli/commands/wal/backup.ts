import { type Command, Option } from 'commander';
import type { ChecksumAlgorithm } from '../../../walmgr/backup/checksum.ts';
import { type Cli, wholeNumber } from '../../cli.ts';
import { EXIT } from '../../exit.ts';
import { formatBytes } from '../../output.ts';
import {
  type ArchiveOptions,
  clusterOf,
  type SourceOptions,
  withArchive,
  withArchiveOptions,
  withSource,
  withSourceOptions,
} from './archive.ts';
import { progressBar } from './progress.ts';

/** Base backups: take, list, expire. */
export function registerBackupCommands(cli: Cli, wal: Command): void {
  cli.action(
    withSourceOptions(
      wal
        .command('backup')
        .description('take a base backup over the replication protocol')
        .option('--spread', 'wait for a checkpoint spread over minutes instead of forcing one')
        .addOption(
          new Option(
            '--manifest-checksums <algorithm>',
            'of the files; default: that of the cluster, or SHA256',
          ).choices(['SHA256', 'CRC32C']),
        )
        .option('--wait <seconds>', 'for the WAL the backup needs to reach the archive', wholeNumber, 60),
    ),
    [
      [
        'skytools wal backup --source postgres://replica@db/postgres --archive s3://backups/main',
        'stream it to S3',
      ],
    ],
    async (
      context,
      _args,
      options: SourceOptions & { spread?: boolean; manifestChecksums?: ChecksumAlgorithm; wait: number },
    ) =>
      withSource(context, options, async (archive, source) => {
        const [{ takeBackup }, { writeCatalogue }] = await Promise.all([
          import('../../../walmgr/backup/take.ts'),
          import('../../../walmgr/catalogue.ts'),
        ]);
        const checksums =
          options.manifestChecksums ?? (await clusterOf(context, options))?.backup?.manifestChecksums;
        const bar = await progressBar(context, 'backing up');
        const { did, missing } = await takeBackup(archive, source, {
          fast: options.spread !== true,
          waitForWalMs: options.wait * 1000,
          onProgress: bar.update,
          ...(checksums === undefined ? {} : { checksums }),
        }).finally(bar.stop);
        await writeCatalogue(archive);
        if (did.problem !== undefined) context.warn(`not usable: ${did.problem}`);
        else if (missing.length > 0) {
          context.warn(`not usable yet: the archive lacks ${missing[0]}; is WAL being archived?`);
        }
        await context.done(
          { ...did, missing },
          `backup ${did.name}: ${formatBytes(did.plainSize)} in ${formatBytes(did.objectSize)}`,
        );
        return did.problem !== undefined || missing.length > 0 ? EXIT.unhealthy : EXIT.ok;
      }),
  );

  cli.action(
    withArchiveOptions(wal.command('backups').description('list the base backups of an archive')),
    [['skytools wal backups --archive s3://backups/main', 'oldest first']],
    async (context, _args, options: ArchiveOptions) =>
      withArchive(context, options, async (archive) => {
        const { listBackups, missingWal } = await import('../../../walmgr/backup/record.ts');
        const rows = [];
        for (const record of await listBackups(archive)) {
          const missing = await missingWal(archive, record);
          const state = record.problem !== undefined ? 'damaged' : missing.length > 0 ? 'waiting' : 'usable';
          const { volumes, label, ...rest } = record;
          rows.push({ ...rest, state, missing, firstWal: record.name.slice(-24) });
        }
        await context.table(
          rows,
          [
            { title: 'Backup', value: (row) => row.name },
            { title: 'State', value: (row) => row.state },
            { title: 'Ended', value: (row) => row.stoppedAt },
            { title: 'Timeline', value: (row) => row.timeline, align: 'right' },
            { title: 'Stop', value: (row) => row.stopLsn },
            { title: 'Size', value: (row) => formatBytes(row.plainSize), align: 'right' },
            { title: 'Stored', value: (row) => formatBytes(row.objectSize), align: 'right' },
          ],
          'no backups',
        );
      }),
  );

  cli.action(
    withArchiveOptions(
      wal
        .command('expire')
        .description('delete backups that are no longer kept, and the WAL that only they needed')
        .option('--keep <n>', 'usable backups that are always kept', wholeNumber, 2)
        .option('--keep-days <n>', 'every moment of so many days can be gone back to', wholeNumber, 7)
        .option('--dry-run', 'show what would be deleted')
        .option('--yes', 'do not ask'),
    ),
    [['skytools wal expire --keep 2 --keep-days 14 --dry-run', 'look first']],
    async (
      context,
      _args,
      options: ArchiveOptions & { keep: number; keepDays: number; dryRun?: boolean; yes?: boolean },
    ) =>
      withArchive(context, options, async (archive) => {
        const [{ expire, planExpiry }, { writeCatalogue }] = await Promise.all([
          import('../../../walmgr/retention.ts'),
          import('../../../walmgr/catalogue.ts'),
        ]);
        const plan = await planExpiry(
          archive,
          { keep: Math.max(1, options.keep), keepDays: options.keepDays },
          new Date(),
        );
        const what = `${plan.backups.length} backups and ${plan.files.length} WAL files (${formatBytes(plan.bytes)})`;
        if (options.dryRun)
          return context.done(plan, `would delete ${what}; kept: ${plan.kept.join(', ') || 'none'}`);
        if (plan.backups.length + plan.files.length + plan.leftovers.length === 0) {
          return context.done(plan, 'nothing to delete');
        }
        await context.confirm(`Delete ${what}?`, options.yes);
        const done = await expire(archive, plan, () => !context.signal.aborted);
        await writeCatalogue(archive);
        await context.done(done, `deleted ${done.backups.length} backups and ${done.files.length} WAL files`);
      }),
  );
}

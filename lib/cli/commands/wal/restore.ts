import { type Command, InvalidArgumentError } from 'commander';
import { UsageError } from '../../../platform/errors.ts';
import { type Cli, wholeNumber } from '../../cli.ts';
import { formatBytes } from '../../output.ts';
import { type ArchiveOptions, withArchive, withArchiveOptions } from './archive.ts';
import { progressBar } from './progress.ts';

interface RestoreCommandOptions extends ArchiveOptions {
  to: string;
  targetTime?: string;
  targetLsn?: string;
  targetName?: string;
  targetXid?: string;
  immediate?: boolean;
  exclusive?: boolean;
  timeline?: number | 'latest';
  backup?: string;
  tablespaceMap?: Record<string, string>;
  parallel?: number;
  standby?: boolean;
  primary?: string;
  fetchCommand: string;
}

export function registerRestoreCommand(cli: Cli, wal: Command): void {
  cli.action(
    withArchiveOptions(
      wal
        .command('restore')
        .description('make a data directory that recovers to a chosen moment when it is started')
        .requiredOption('--to <directory>', 'the data directory to make: empty, or not there yet')
        .option('--target-time <time>', 'such as 2026-11-22T20:15:00Z')
        .option('--target-lsn <lsn>', 'such as 16/B374D848')
        .option('--target-name <name>', 'a point made by pg_create_restore_point')
        .option('--target-xid <id>', 'a transaction')
        .option('--immediate', 'as soon as the backup is consistent')
        .option('--exclusive', 'stop just before the target')
        .option('--timeline <id>', 'a number, or latest', timeline)
        .option('--backup <name>', 'default: the newest that ended before the target')
        .option('--tablespace-map <old=new>', 'another place for a tablespace; repeatable', mapping)
        .option('--standby', 'make a standby, which follows the archive, and the server of --primary')
        .option('--primary <conninfo>', 'with --standby: connect string of the server to follow')
        .option('--parallel <n>', 'parts of the backup fetched at once', wholeNumber)
        .option('--fetch-command <command>', 'how PostgreSQL starts skytools', 'skytools'),
    ),
    [
      ['skytools wal restore --archive s3://backups/main --to /srv/pg/data', 'everything that was archived'],
      [
        "skytools wal restore --cluster main --to /srv/pg/data --target-time '2026-11-22T20:14:59Z'",
        'the moment before the accident',
      ],
      [
        "skytools wal restore --cluster main --to /srv/pg/data --standby --primary 'host=db user=replica'",
        'a standby',
      ],
    ],
    async (context, _args, options: RestoreCommandOptions) =>
      withArchive(context, options, async (archive, location) => {
        refuseStandbyTarget(options);
        const { restore } = await import('../../../walmgr/restore/restore.ts');
        const bar = await progressBar(context, 'restoring');
        const result = await restore(archive, {
          to: options.to,
          target: {
            ...(options.targetTime === undefined ? {} : { time: options.targetTime }),
            ...(options.targetLsn === undefined ? {} : { lsn: options.targetLsn }),
            ...(options.targetName === undefined ? {} : { name: options.targetName }),
            ...(options.targetXid === undefined ? {} : { xid: options.targetXid }),
            ...(options.immediate ? { immediate: true } : {}),
            ...(options.exclusive ? { inclusive: false } : {}),
            ...(options.timeline === undefined ? {} : { timeline: options.timeline }),
          },
          fetchCommand: `${options.fetchCommand} wal fetch --archive s3://${location.bucket}/${location.prefix} --unfinished %f %p`,
          onProgress: bar.update,
          ...(options.backup === undefined ? {} : { backup: options.backup }),
          ...(options.tablespaceMap === undefined ? {} : { tablespaceMap: options.tablespaceMap }),
          ...(options.standby
            ? { standby: options.primary === undefined ? {} : { primary: options.primary } }
            : {}),
          ...(options.parallel === undefined ? {} : { parallel: options.parallel }),
        }).finally(bar.stop);
        const { did, files, next } = result;
        await context.done(
          { backup: did.name, files, next },
          `restored ${files} files, ${formatBytes(did.plainSize)}, of backup ${did.name}; all of them verified\nNow:\n${next
            .map((step) => `- ${step}`)
            .join('\n')}`,
        );
      }),
  );
}

/** A standby has no target: it goes on. @throws UsageError WAL_TARGET_INVALID */
function refuseStandbyTarget(options: RestoreCommandOptions): void {
  const { targetTime, targetLsn, targetName, targetXid, immediate } = options;
  const hasTarget = [targetTime, targetLsn, targetName, targetXid, immediate].some(
    (value) => value !== undefined,
  );
  if (options.standby && hasTarget) {
    throw new UsageError('WAL_TARGET_INVALID', 'a standby has no recovery target', {
      hint: 'give either --standby or a target',
    });
  }
  if (options.primary !== undefined && !options.standby) {
    throw new UsageError('WAL_TARGET_INVALID', '--primary is for a standby', { hint: 'add --standby' });
  }
}

function timeline(text: string): number | 'latest' {
  return text === 'latest' ? text : wholeNumber(text);
}

function mapping(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [from, to] = text.split(/=(.*)/s, 2);
  if (!from || !to) throw new InvalidArgumentError('write OLD=NEW');
  return { ...before, [from]: to };
}

import { type Command, InvalidArgumentError } from 'commander';
import { UsageError } from '../../../platform/errors.ts';
import type { RestorePlan } from '../../../walmgr/restore/plan.ts';
import type { RecoveryTarget } from '../../../walmgr/restore/target.ts';
import { type Cli, wholeNumber } from '../../cli.ts';
import type { CommandContext } from '../../context.ts';
import { EXIT } from '../../exit.ts';
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
  sync: boolean;
  dryRun?: boolean;
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
        .option('--parallel <n>', 'parts of the backup fetched at once', atLeastOne)
        .option('--no-sync', 'do not wait until the files are safe on disk; for trials')
        .option('--fetch-command <command>', 'how PostgreSQL starts skytools', 'skytools')
        .option(
          '--dry-run',
          'show what would be fetched, and whether the WAL is there; exit code 3 if some is missing',
        ),
    ),
    [
      ['skytools wal restore --archive s3://backups/main --to /srv/pg/data', 'everything that was archived'],
      [
        "skytools wal restore --cluster main --to /srv/pg/data --target-time '2026-11-22T20:14:59Z'",
        'the moment before the accident',
      ],
      [
        'skytools wal restore --cluster main --to /srv/pg/data --target-lsn 16/B374D848 --dry-run',
        'look first: which backup, how much, is all of its WAL there?',
      ],
      [
        "skytools wal restore --cluster main --to /srv/pg/data --standby --primary 'host=db user=replica'",
        'a standby',
      ],
    ],
    async (context, _args, options: RestoreCommandOptions) =>
      withArchive(context, options, async (archive, location) => {
        refuseStandbyTarget(options);
        const what = {
          to: options.to,
          target: targetOf(options),
          ...(options.backup === undefined ? {} : { backup: options.backup }),
          ...(options.tablespaceMap === undefined ? {} : { tablespaceMap: options.tablespaceMap }),
        };
        if (options.dryRun) {
          const { planRestore } = await import('../../../walmgr/restore/plan.ts');
          const plan = await planRestore(archive, what);
          await showPlan(context, plan);
          return plan.wal.missing.length > 0 ? EXIT.unhealthy : EXIT.ok;
        }
        const { restore } = await import('../../../walmgr/restore/restore.ts');
        const bar = await progressBar(context, 'restoring');
        const { did, files, next } = await restore(archive, {
          ...what,
          fetchCommand: `${options.fetchCommand} wal fetch --archive s3://${location.bucket}/${location.prefix} --unfinished %f %p`,
          sync: options.sync,
          onPlan: (plan) => warnOfMissing(context, plan),
          onProgress: bar.update,
          ...(options.standby
            ? { standby: options.primary === undefined ? {} : { primary: options.primary } }
            : {}),
          ...(options.parallel === undefined ? {} : { parallel: options.parallel }),
        }).finally(bar.stop);
        await context.done(
          { ...planJson(did), files, next },
          `restored ${files} files, ${formatBytes(did.backup.plainSize)}, of backup ${did.backup.name}; all of them verified\nNow:\n${next
            .map((step) => `- ${step}`)
            .join('\n')}`,
        );
        return EXIT.ok;
      }),
  );
}

function targetOf(options: RestoreCommandOptions): RecoveryTarget {
  return {
    ...(options.targetTime === undefined ? {} : { time: options.targetTime }),
    ...(options.targetLsn === undefined ? {} : { lsn: options.targetLsn }),
    ...(options.targetName === undefined ? {} : { name: options.targetName }),
    ...(options.targetXid === undefined ? {} : { xid: options.targetXid }),
    ...(options.immediate ? { immediate: true } : {}),
    ...(options.exclusive ? { inclusive: false } : {}),
    ...(options.timeline === undefined ? {} : { timeline: options.timeline }),
  };
}

/** A plan as JSON: the backup by what people ask of it, without its parts. */
function planJson({ backup, ...plan }: RestorePlan) {
  const { name, startedAt, stoppedAt, files, plainSize, objectSize } = backup;
  return { backup: name, startedAt, stoppedAt, files, plainSize, objectSize, ...plan };
}

async function showPlan(context: CommandContext, plan: RestorePlan): Promise<void> {
  const { backup, timeline, directory, tablespaces, wal } = plan;
  const spaces = tablespaces.map(({ from, to }) => `${from} in ${to}`).join(', ');
  await context.record({ ...planJson(plan), dryRun: true }, [
    ['backup', `${backup.name}, ended ${backup.stoppedAt} at ${backup.stopLsn}`],
    [
      'fetched',
      `${backup.files} files, ${formatBytes(backup.plainSize)}, from ${formatBytes(backup.objectSize)}`,
    ],
    ['directory', directory],
    ['tablespaces', spaces || 'none'],
    ['timeline', timeline],
    ['wal', `${wal.first} to ${wal.last}, ${wal.segments} segments in ${formatBytes(wal.bytes)}`],
    ...(wal.unfinished === undefined ? [] : [['', `and the beginning of ${wal.unfinished}`] as const]),
    ['reaches', `from ${wal.from} to ${wal.to}`],
    ['missing', wal.missing.map(rangeText).join(', ') || 'nothing'],
  ]);
  warnOfMissing(context, plan);
  if (!context.json) context.note('nothing was written');
}

function warnOfMissing(context: CommandContext, { wal }: RestorePlan): void {
  if (wal.missing.length === 0) return;
  const all = wal.missing.map(rangeText).join(', ');
  context.warn(`the archive lacks WAL on the way: ${all}; what was written after it cannot be reached`);
}

const rangeText = ({ first, last, count }: RestorePlan['wal']['missing'][number]) =>
  count === 1 ? first : `${first} to ${last}`;

/** A standby has no target: it goes on. @throws UsageError WAL_TARGET_INVALID */
function refuseStandbyTarget(options: RestoreCommandOptions): void {
  const { timeline, ...target } = targetOf(options);
  if (options.standby && (Object.keys(target).length > 0 || typeof timeline === 'number')) {
    throw new UsageError(
      'WAL_TARGET_INVALID',
      'a standby has no recovery target: it follows the newest timeline',
      {
        hint: 'give either --standby or a target',
      },
    );
  }
  if (options.primary !== undefined && !options.standby) {
    throw new UsageError('WAL_TARGET_INVALID', '--primary is for a standby', { hint: 'add --standby' });
  }
}

function atLeastOne(text: string): number {
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError('at least 1');
  return value;
}

function timeline(text: string): number | 'latest' {
  return text === 'latest' ? text : wholeNumber(text);
}

function mapping(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [from, to] = text.split(/=(.*)/s, 2);
  if (!from || !to) throw new InvalidArgumentError('write OLD=NEW');
  return { ...before, [from]: to };
}

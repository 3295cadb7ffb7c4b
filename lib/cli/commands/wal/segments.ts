import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { wholeNumber } from '../../cli.ts';
import { EXIT, type ExitCode } from '../../exit.ts';
import { formatBytes } from '../../output.ts';
import { type SourceOptions, withSource, withSourceOptions, zstdLevel } from './archive.ts';

/** `wal push`, `wal fetch`: what PostgreSQL calls. `wal pull`: what needs nothing on its host. */
export function registerSegmentCommands(cli: Cli, wal: Command): void {
  cli.action(
    wal
      .command('push')
      .description('archive one WAL file and those that wait behind it (archive_command)')
      .argument('<path>', '%p')
      .option('--archive <url>', 's3://BUCKET/PREFIX; default: SKYTOOLS_WAL_ARCHIVE')
      .option('--parallel <n>', 'files sent at once', wholeNumber)
      .option('--level <n>', 'zstd level, 1 to 22 (1)', zstdLevel),
    [['skytools wal push --archive s3://backups/main %p', 'as archive_command in postgresql.conf']],
    async (context, [path], options: { archive?: string; parallel?: number; level?: number }) => {
      const { pushCommand } = await import('../../../walmgr/push/command.ts');
      const words = ['wal', 'push', ...optionWords(options), path!];
      return (await pushCommand(words, context.io.env)) as ExitCode;
    },
  );

  cli.action(
    wal
      .command('fetch')
      .description('deliver one WAL file to recovery (restore_command)')
      .argument('<name>', '%f')
      .argument('<path>', '%p')
      .option('--archive <url>', 's3://BUCKET/PREFIX; default: SKYTOOLS_WAL_ARCHIVE')
      .option('--unfinished', 'also deliver a segment of which the archive has only the beginning')
      .option('--standby', 'exit 1 also on failures: a standby tries again by itself')
      .option('--no-ahead', 'do not fetch the following segments ahead'),
    [['skytools wal fetch --archive s3://backups/main %f %p', 'as restore_command in postgresql.conf']],
    async (context, [name, path], options: Record<string, string | boolean>) => {
      const { fetchCommand } = await import('../../../walmgr/fetch/command.ts');
      const { ahead, ...rest } = options;
      const words = [
        'wal',
        'fetch',
        ...optionWords(rest),
        ...(ahead === false ? ['--no-ahead'] : []),
        name!,
        path!,
      ];
      return (await fetchCommand(words, context.io.env)) as ExitCode;
    },
  );

  cli.action(
    withSourceOptions(
      wal
        .command('pull')
        .description('archive WAL over a replication slot, with nothing installed on the database host')
        .option('--slot <name>', 'replication slot; made if need be', 'skytools_archive')
        .option('--follow', 'go on when caught up: at most seconds of work are lost with the host'),
    ),
    [
      [
        'skytools wal pull --source postgres://replica@db/postgres --archive s3://backups/main',
        'catch up and end',
      ],
      ['skytools wal pull --cluster main --follow', 'a configured cluster, until it is stopped'],
    ],
    async (context, _args, options: SourceOptions & { slot: string; follow?: boolean }) =>
      withSource(context, options, async (archive, source) => {
        const [{ pullWal }, { Deadline }] = await Promise.all([
          import('../../../walmgr/pull/pull.ts'),
          import('../../../platform/deadline.ts'),
        ]);
        const result = await pullWal(archive, source, {
          slot: options.slot,
          follow: options.follow === true,
          deadline: Deadline.whenAborted(context.signal),
        });
        for (const gap of result.gaps) {
          context.warn(
            `wal from ${gap.from} to ${gap.to} was gone before it was archived: take a new base backup`,
          );
        }
        const { segments, pieces, bytes, durable } = result.did;
        await context.done(
          result,
          `${segments} segments and ${pieces} pieces archived (${formatBytes(bytes)}), durable to ${durable}`,
        );
        return result.gaps.length > 0 ? EXIT.unhealthy : EXIT.ok;
      }),
  );
}

/** Options as words, for the commands that have a parser of their own. */
function optionWords(options: Record<string, unknown>): string[] {
  return Object.entries(options).flatMap(([name, value]) =>
    value === true
      ? [`--${name}`]
      : value === undefined || value === false
        ? []
        : [`--${name}`, String(value)],
  );
}

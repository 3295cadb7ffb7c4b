import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import { parseArchiveUrl } from '../archive/location.ts';
import { numberOption, parseWords, printProblem } from '../words.ts';
import { pushWal } from './push.ts';

/** Exit codes of `wal push`. All are below 126: PostgreSQL counts the failure in pg_stat_archiver and tries again. */
export const PUSH_EXIT = { sent: 0, failed: 1, usage: 2, refused: 3 } as const;

/** Not a matter of trying again: somebody has to look. */
const REFUSALS = new Set(['WAL_CONFLICT', 'WAL_FOREIGN_CLUSTER', 'WAL_SEGMENT_INVALID', 'WAL_NAME_INVALID']);

/**
 * `skytools wal push [--archive URL] [--parallel N] [--level N] %p`
 *
 * @param words everything after the program's name: `wal push …`
 * @returns the exit code
 */
export async function pushCommand(words: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  try {
    const { options, rest } = parseWords(words.slice(2), ['archive', 'parallel', 'level']);
    const file = rest[0];
    if (file === undefined || rest.length > 1) {
      throw new UsageError('WAL_PUSH_USAGE', 'wal push takes one file', {
        hint: "archive_command = 'skytools wal push --archive s3://BUCKET/PREFIX %p'",
      });
    }
    const parallel = numberOption(options.parallel, 'parallel', 1, 64);
    const level = numberOption(options.level, 'level', 1, 22);
    await pushWal(file, {
      location: parseArchiveUrl(options.archive ?? env.SKYTOOLS_WAL_ARCHIVE),
      address: pushAddress(words, env),
      ...(parallel === undefined ? {} : { parallel }),
      ...(level === undefined ? {} : { level }),
    });
    return PUSH_EXIT.sent;
  } catch (error) {
    printProblem('wal push', error);
    if (error instanceof UsageError) return PUSH_EXIT.usage;
    return error instanceof SkytoolsError && REFUSALS.has(error.code) ? PUSH_EXIT.refused : PUSH_EXIT.failed;
  }
}

/** The words that address the archive: all but the file. The shell script makes the same text. */
export function pushAddress(words: string[], env: NodeJS.ProcessEnv): string {
  return `${env.SKYTOOLS_WAL_ARCHIVE ?? ''} ${words.slice(0, -1).join(' ')} `;
}

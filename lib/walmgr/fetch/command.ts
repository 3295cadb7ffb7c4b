import { spawn } from 'node:child_process';
import path from 'node:path';
import { UsageError } from '../../platform/errors.ts';
import { WalArchive } from '../archive/archive.ts';
import { type ArchiveLocation, parseArchiveUrl } from '../archive/location.ts';
import { neighbour, parseWalName } from '../wal/name.ts';
import { parseWords, printProblem } from '../words.ts';
import { AheadDirectory, fetchAhead } from './ahead.ts';
import { fetchWal } from './fetch.ts';

/**
 * Exit codes of `wal fetch`. PostgreSQL takes 1 to 125 for "there is no such file", which ends recovery; everything above
 * 125 aborts it. So 1 is said only when the store itself says that the key does not exist.
 */
export const FETCH_EXIT = { delivered: 0, absent: 1, unknown: 255 } as const;

/**
 * `skytools wal fetch [--archive URL] [--unfinished] [--standby] [--no-ahead] %f %p`
 *
 * `--standby`: failures exit 1, because a standby tries again by itself.
 *
 * @param words everything after the program's name: `wal fetch …`
 * @returns the exit code
 */
export async function fetchCommand(words: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  let standby = false;
  try {
    const { options, flags, rest } = parseWords(
      words.slice(2),
      ['archive', 'ahead-from', 'ahead-token'],
      ['unfinished', 'standby', 'no-ahead'],
    );
    standby = flags.has('standby');
    const location = parseArchiveUrl(options.archive ?? env.SKYTOOLS_WAL_ARCHIVE);
    if (options['ahead-from'] !== undefined) {
      const directory = new AheadDirectory(rest[0] ?? '.');
      const token = options['ahead-token'] ?? (await directory.announce(options['ahead-from']));
      await fetchAhead(await WalArchive.open(location), directory, options['ahead-from'], token);
      return FETCH_EXIT.delivered;
    }
    const [name, target] = rest;
    if (name === undefined || target === undefined || rest.length > 2) {
      throw new UsageError('WAL_FETCH_USAGE', 'wal fetch takes a file name and a target', {
        hint: "restore_command = 'skytools wal fetch --archive s3://BUCKET/PREFIX %f %p'",
      });
    }
    const directory = new AheadDirectory(path.dirname(target));
    const wantsAhead = !flags.has('no-ahead') && parseWalName(name).kind === 'segment';
    let opened: WalArchive | undefined;
    let isAhead = false;
    const open = async () => {
      opened ??= await WalArchive.open(location);
      // While this one is fetched the next ones are on their way already.
      if (wantsAhead && !isAhead && !(await directory.hasOwner())) {
        isAhead = true;
        await startAhead(location, neighbour(name, 1, opened.identity.segmentSize), directory);
      }
      return opened;
    };
    const { did } = await fetchWal(open, name, target, { unfinished: flags.has('unfinished') });
    if (did === 'absent') return FETCH_EXIT.absent;
    if (did === 'fetched' && opened && wantsAhead && !isAhead) {
      const following = neighbour(name, 1, opened.identity.segmentSize);
      // Recovery may ask for its first segment several times.
      if (!(await directory.isReadyOrComing(following))) await startAhead(location, following, directory);
    }
    opened?.store.close();
    return FETCH_EXIT.delivered;
  } catch (error) {
    printProblem('wal fetch', error);
    return standby ? FETCH_EXIT.absent : FETCH_EXIT.unknown;
  }
}

/**
 * Leaves a process behind that fetches what recovery will ask for next. It is announced before it runs, so that recovery
 * waits for its first segment instead of fetching the same one itself.
 */
async function startAhead(location: ArchiveLocation, from: string, directory: AheadDirectory): Promise<void> {
  const token = await directory.announce(from);
  const url = `s3://${location.bucket}/${location.prefix}`;
  const ahead = ['--ahead-from', from, '--ahead-token', token, directory.walDirectory];
  const words = ['wal', 'fetch', '--archive', url, ...ahead];
  spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...words], {
    detached: true,
    stdio: 'ignore',
  }).unref();
}

import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WalArchive } from '../archive/archive.ts';
import { assembleLive } from '../archive/live.ts';
import { parseWalName } from '../wal/name.ts';
import { AheadDirectory } from './ahead.ts';

export interface FetchOptions {
  /** Also deliver a segment of which the archive holds only its beginning. */
  unfinished?: boolean;
}

export interface FetchResult {
  /** `ahead`: it lay ready; `fetched`: from the archive just now; `absent`: the store says there is none. */
  did: 'ahead' | 'fetched' | 'unfinished' | 'absent';
}

/** How often a segment that another process is fetching is looked for, in milliseconds. */
const LOOK_MS = 5;

/**
 * Delivers one file to recovery. `target` appears by one rename, whole and verified, or not at all.
 *
 * @param archive asked only when the file does not lie ready
 * @param name the file PostgreSQL wants, `%f`
 * @param target where it wants it, `%p`
 * @throws SkytoolsError for everything that leaves open whether the archive has the file
 */
export async function fetchWal(
  archive: () => Promise<WalArchive>,
  name: string,
  target: string,
  options: FetchOptions = {},
): Promise<FetchResult> {
  parseWalName(name);
  const ahead = new AheadDirectory(path.dirname(target));
  if (await ahead.take(name, target)) return { did: 'ahead' };
  while (await ahead.isComing(name)) {
    await sleep(LOOK_MS);
    if (await ahead.take(name, target)) return { did: 'ahead' };
  }
  const source = await archive();
  const temporary = `${target}.${process.pid}.skytools`;
  try {
    if (await source.fetchFile(name, temporary)) {
      await rename(temporary, target);
      return { did: 'fetched' };
    }
    // Its beginning, as pull left it; or the last segment of an abandoned timeline, as a promoted server archived it.
    if (
      options.unfinished &&
      parseWalName(name).kind === 'segment' &&
      ((await assembleLive(source, name, temporary)) ||
        (await source.fetchFile(`${name}.partial`, temporary)))
    ) {
      await rename(temporary, target);
      return { did: 'unfinished' };
    }
    return { did: 'absent' };
  } finally {
    await rm(temporary, { force: true });
  }
}

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../../platform/errors.ts';
import type { WalArchive } from '../archive/archive.ts';
import type { BackupRecord } from '../backup/record.ts';
import { asLsn, type Lsn, parseLsn } from '../wal/lsn.ts';
import { chooseBackup, type RecoveryTarget } from './target.ts';
import { type WalPath, walPath } from './wal-path.ts';

export interface RestorePlanOptions {
  /** Data directory to make; must not exist or be empty. */
  to: string;
  target?: RecoveryTarget;
  /** A backup's name; default: the newest that fits. */
  backup?: string;
  /** New places of tablespaces, by their old place. A tablespace's old place must be empty otherwise. */
  tablespaceMap?: Record<string, string>;
}

/** What a restore would fetch, and where it would lay it. */
export interface RestorePlan {
  backup: BackupRecord;
  /** The one recovery goes to. */
  timeline: number;
  directory: string;
  tablespaces: { oid: string; from: string; to: string }[];
  /** What the server will ask for when it recovers. */
  wal: WalPath;
}

/**
 * Works out a restore and checks everything that can be checked before; writes nothing.
 *
 * @throws UsageError WAL_TARGET_INVALID, WAL_TABLESPACE_UNKNOWN, WAL_TABLESPACE_PLACE, WAL_RESTORE_NOT_EMPTY,
 *   WAL_RESTORE_DIRECTORY; SkytoolsError WAL_NO_BACKUP_FOR_TARGET
 */
export async function planRestore(archive: WalArchive, options: RestorePlanOptions): Promise<RestorePlan> {
  const target = options.target ?? {};
  const { record, history } = await chooseBackup(archive, target, options.backup);
  const directory = path.resolve(options.to);
  const tablespaces = placeTablespaces(record, directory, options.tablespaceMap ?? {});
  await mustBeEmpty(directory, 'move what is there away, or give another --to; a restore overwrites nothing');
  for (const { from, to } of tablespaces)
    await mustBeEmpty(to, `give the tablespace another place with --tablespace-map ${from}=NEW`);
  const wal = await walPath(archive, record, history, knownStop(target, record));
  return { backup: record, timeline: history.timeline, directory, tablespaces, wal };
}

/** Where recovery stops, as far as that is told by a position. */
function knownStop(target: RecoveryTarget, record: BackupRecord): Lsn | undefined {
  if (target.lsn !== undefined) return parseLsn(target.lsn);
  // The last byte that the backup needs: what ends on a boundary does not need the next segment.
  return target.immediate ? asLsn(parseLsn(record.stopLsn) - 1n) : undefined;
}

function placeTablespaces(
  record: BackupRecord,
  directory: string,
  map: Record<string, string>,
): RestorePlan['tablespaces'] {
  const unknown = Object.keys(map).find((old) => !record.tablespaces.some((space) => space.location === old));
  if (unknown !== undefined) {
    throw new UsageError('WAL_TABLESPACE_UNKNOWN', `the backup has no tablespace at ${unknown}`, {
      hint: `its tablespaces are at: ${record.tablespaces.map((space) => space.location).join(', ') || '(none)'}`,
    });
  }
  const tablespaces = record.tablespaces.map(({ oid, location }) => ({
    oid,
    from: location,
    to: path.resolve(map[location] ?? location),
  }));
  const taken = [directory];
  for (const { from, to } of tablespaces) {
    const other = taken.find((place) => isWithin(place, to) || isWithin(to, place));
    if (other !== undefined) {
      throw new UsageError('WAL_TABLESPACE_PLACE', `${to} and ${other} would lie in one another`, {
        hint: `give the tablespace at ${from} a directory of its own with --tablespace-map`,
      });
    }
    taken.push(to);
  }
  return tablespaces;
}

/** True if `inner` is `outer` or lies in it. */
function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith(path.sep) ? outer : outer + path.sep);
}

async function mustBeEmpty(directory: string, hint: string): Promise<void> {
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new UsageError('WAL_RESTORE_DIRECTORY', `${directory} cannot be the place of a restore`, {
      hint: 'give a directory that the account of the server can write to',
      subject: { file: directory },
      cause: error,
    });
  });
  if (entries.length === 0) return;
  throw new UsageError('WAL_RESTORE_NOT_EMPTY', `${directory} is not empty`, {
    hint,
    subject: { file: directory },
  });
}

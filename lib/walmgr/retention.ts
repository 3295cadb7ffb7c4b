import type { WalArchive } from './archive/archive.ts';
import { nameOfKey } from './archive/location.ts';
import {
  type BackupRecord,
  listBackups,
  MANIFEST_FILE,
  missingWal,
  neededSegments,
} from './backup/record.ts';
import { readHistories } from './verify.ts';
import { isReachable, switchPoint, type TimelineHistory } from './wal/history.ts';
import { parseLsn } from './wal/lsn.ts';
import { isWalName, parseWalName, segmentNumber, segmentOf } from './wal/name.ts';

export interface RetentionPolicy {
  /** Usable backups that are always kept. */
  keep: number;
  /** Every moment of so many days can be gone back to: the newest backup from before them is kept, too. */
  keepDays: number;
}

/** What an expiry would delete. */
export interface ExpiryPlan {
  kept: string[];
  backups: string[];
  /** Names of WAL files. */
  files: string[];
  /** Keys of pieces of segments that are whole by now, and of leftovers of backups that were never finished. */
  leftovers: string[];
  bytes: number;
}

/** A backup without a record may still be running; older ones were given up. Milliseconds. */
const UNFINISHED_MS = 48 * 3_600_000;

const DAY_MS = 86_400_000;

/**
 * Chooses the backups to keep: the newest `keep` usable ones, all within the window, and the newest usable one that ended
 * before it (without which the beginning of the window could not be reached). Damaged and waiting ones count for nothing
 * and go when they are older than everything kept.
 *
 * @param now by PostgreSQL's clock, or the newest backup's
 */
export function chooseKept(
  backups: readonly { record: BackupRecord; usable: boolean }[],
  policy: RetentionPolicy,
  now: Date,
): Set<string> {
  const usable = backups
    .filter((backup) => backup.usable)
    .map((backup) => backup.record)
    .sort((a, b) => Date.parse(b.stoppedAt) - Date.parse(a.stoppedAt));
  const windowStart = now.getTime() - policy.keepDays * DAY_MS;
  const kept = new Set(usable.slice(0, policy.keep).map((record) => record.name));
  for (const record of usable) {
    kept.add(record.name);
    if (Date.parse(record.stoppedAt) <= windowStart && kept.size >= policy.keep) break;
  }
  const oldestKept = Math.min(
    ...usable.filter((record) => kept.has(record.name)).map((r) => Date.parse(r.stoppedAt)),
  );
  for (const { record, usable: isUsable } of backups) {
    if (!isUsable && Date.parse(record.stoppedAt) >= oldestKept) kept.add(record.name);
  }
  // Without one usable backup nothing can be judged superfluous.
  if (usable.length === 0) for (const { record } of backups) kept.add(record.name);
  return kept;
}

/**
 * True if recovery from one of the kept backups may ask for a segment.
 *
 * @param histories of every timeline in the archive
 */
export function isNeeded(
  segment: { timeline: number; segno: bigint },
  kept: readonly BackupRecord[],
  histories: readonly TimelineHistory[],
  segmentSize: number,
): boolean {
  return kept.some((record) => {
    const start = segmentOf(parseLsn(record.startLsn), segmentSize);
    if (segment.timeline === record.timeline) return segment.segno >= start;
    // Another timeline: needed if a way leads from the backup to it, from the segment where it begins.
    const history = histories.find((other) => other.timeline === segment.timeline);
    if (!history || switchPoint(history, record.timeline) === null) return false;
    return segment.segno >= start && isReachable(history, record.timeline, parseLsn(record.stopLsn));
  });
}

/** Works out what may go; deletes nothing. */
export async function planExpiry(
  archive: WalArchive,
  policy: RetentionPolicy,
  now: Date,
): Promise<ExpiryPlan> {
  const size = archive.identity.segmentSize;
  const backups: { record: BackupRecord; usable: boolean }[] = [];
  for (const record of await listBackups(archive)) {
    backups.push({
      record,
      usable: record.problem === undefined && (await missingWal(archive, record)).length === 0,
    });
  }
  const keptNames = chooseKept(backups, policy, now);
  const kept = backups.map((backup) => backup.record).filter((record) => keptNames.has(record.name));
  const plan: ExpiryPlan = {
    kept: [...keptNames].sort(),
    backups: backups.map(({ record }) => record.name).filter((name) => !keptNames.has(name)),
    files: [],
    leftovers: [],
    bytes: backups
      .filter(({ record }) => !keptNames.has(record.name))
      .reduce((sum, { record }) => sum + record.objectSize, 0),
  };
  // An archive without a backup keeps all its WAL: its first backup may be on its way.
  if (kept.length === 0) return plan;
  const needed = new Set(kept.flatMap((record) => neededSegments(record, size)));
  const histories = await readHistories(archive);
  const newest = new Map<number, bigint>();
  for await (const { key, size: bytes } of archive.store.list(archive.keys.wal)) {
    const name = nameOfKey(key);
    const file = isWalName(name) ? parseWalName(name) : undefined;
    if (!file || file.kind === 'history') continue;
    const segno = segmentNumber(file, size);
    if (file.kind === 'segment') newest.set(file.timeline, segno);
    if (needed.has(name) || isNeeded({ timeline: file.timeline, segno }, kept, histories, size)) continue;
    plan.files.push(name);
    plan.bytes += bytes;
  }
  await addLeftovers(archive, plan, newest, now, new Set(backups.map(({ record }) => record.name)));
  return plan;
}

async function addLeftovers(
  archive: WalArchive,
  plan: ExpiryPlan,
  newest: ReadonlyMap<number, bigint>,
  now: Date,
  finished: ReadonlySet<string>,
): Promise<void> {
  for await (const { key, size } of archive.store.list(archive.keys.live)) {
    const file = parseWalName(key.split('/').at(-2)!);
    if (file.kind !== 'segment') continue;
    // Pieces matter until their segment is whole; the last segment of a timeline may stay pieces for ever.
    if (segmentNumber(file, archive.identity.segmentSize) > (newest.get(file.timeline) ?? -1n)) continue;
    plan.leftovers.push(key);
    plan.bytes += size;
  }
  for await (const { key, size, modifiedAt } of archive.store.list(archive.keys.backups)) {
    const name = key.slice(archive.keys.backups.length).split('/')[0]!;
    if (finished.has(name) || now.getTime() - modifiedAt.getTime() < UNFINISHED_MS) continue;
    plan.leftovers.push(key);
    plan.bytes += size;
  }
}

/**
 * Deletes what a plan names: each backup's record first, so that no half-deleted one is ever listed, then WAL.
 *
 * @param deadline returns false when it is time to stop; a later plan goes on
 */
export async function expire(
  archive: WalArchive,
  plan: ExpiryPlan,
  goesOn: () => boolean = () => true,
): Promise<{ backups: string[]; files: string[]; complete: boolean }> {
  const done: { backups: string[]; files: string[]; complete: boolean } = {
    backups: [],
    files: [],
    complete: false,
  };
  for (const name of plan.backups) {
    const prefix = archive.keys.backup(name);
    await archive.store.delete(`${prefix}backup.json`);
    for await (const { key } of archive.store.list(prefix)) {
      if (!goesOn()) return done;
      await archive.store.delete(key);
    }
    await archive.store.delete(prefix + MANIFEST_FILE);
    done.backups.push(name);
  }
  for (const name of plan.files) {
    if (!goesOn()) return done;
    await archive.store.delete(archive.keys.file(parseWalName(name)));
    done.files.push(name);
  }
  for (const key of plan.leftovers) {
    if (!goesOn()) return done;
    await archive.store.delete(key);
  }
  return { ...done, complete: true };
}

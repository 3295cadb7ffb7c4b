import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import type { WalArchive } from '../archive/archive.ts';
import { type BackupRecord, listBackups, missingWal } from '../backup/record.ts';
import { isReachable, parseHistory, type TimelineHistory } from '../wal/history.ts';
import { parseLsn } from '../wal/lsn.ts';
import { historyName, parseWalName } from '../wal/name.ts';

/** Where recovery shall stop. Nothing given: at the end of the archive. */
export interface RecoveryTarget {
  /** ISO 8601, with a zone. */
  time?: string;
  lsn?: string;
  /** A restore point made by pg_create_restore_point. */
  name?: string;
  xid?: string;
  /** As soon as the backup is consistent. */
  immediate?: boolean;
  /** False: stop just before the target. */
  inclusive?: boolean;
  /** A timeline's number, or `latest` (default): the newest in the archive. */
  timeline?: number | 'latest';
}

/** @throws UsageError WAL_TARGET_INVALID */
export function checkTarget(target: RecoveryTarget): void {
  const given = [target.time, target.lsn, target.name, target.xid, target.immediate || undefined];
  const fail = (message: string, hint: string): never => {
    throw new UsageError('WAL_TARGET_INVALID', message, { hint });
  };
  if (given.filter((value) => value !== undefined).length > 1) {
    fail('more than one recovery target', 'give one of --target-time, -lsn, -name, -xid, --immediate');
  }
  if (target.time !== undefined && Number.isNaN(Date.parse(target.time))) {
    fail(`not a time: ${JSON.stringify(target.time)}`, 'write it like 2026-11-22T20:15:00Z, with its zone');
  }
  if (target.time !== undefined && !/(Z|[+-]\d\d(:?\d\d)?)$/.test(target.time.trim())) {
    fail(`${target.time} names no time zone`, 'add Z for UTC, or an offset such as +01:00');
  }
  if (target.lsn !== undefined) parseLsn(target.lsn);
  if (target.xid !== undefined && !/^\d{1,20}$/.test(target.xid)) {
    fail(
      `not a transaction id: ${JSON.stringify(target.xid)}`,
      '`select pg_current_xact_id()` shows what they look like',
    );
  }
}

/** The history of a timeline, from the archive. Timeline 1 has none. */
export async function readHistory(archive: WalArchive, timeline: number): Promise<TimelineHistory> {
  if (timeline === 1) return { timeline, ancestors: [] };
  const text = await archive.readFile(historyName(timeline));
  if (!text) {
    throw new SkytoolsError('WAL_TIMELINE_MISSING', `the archive has no history of timeline ${timeline}`, {
      hint: '`skytools wal show` lists the timelines of the archive',
      subject: { timeline: String(timeline) },
    });
  }
  return parseHistory(timeline, text.toString('utf8'));
}

/** The highest timeline in the archive. */
export async function latestTimeline(archive: WalArchive): Promise<number> {
  let latest = 1;
  for await (const { key } of archive.store.list(archive.keys.history)) {
    latest = Math.max(latest, parseWalName(key.slice(archive.keys.history.length)).timeline);
  }
  return latest;
}

/**
 * Chooses the backup recovery begins with: the newest that is whole, ended before the target, and lies on the way to the
 * wanted timeline.
 *
 * @throws SkytoolsError WAL_NO_BACKUP_FOR_TARGET
 */
export async function chooseBackup(
  archive: WalArchive,
  target: RecoveryTarget,
  name?: string,
): Promise<{ record: BackupRecord; timeline: number }> {
  checkTarget(target);
  const wanted = target.timeline ?? 'latest';
  const timeline = wanted === 'latest' ? await latestTimeline(archive) : wanted;
  const history = await readHistory(archive, timeline);
  const reasons: string[] = [];
  for (const record of (await listBackups(archive)).reverse()) {
    if (name !== undefined && record.name !== name) continue;
    const reason = await unfit(archive, record, target, history);
    if (reason === undefined) return { record, timeline };
    reasons.push(`${record.name}: ${reason}`);
  }
  throw new SkytoolsError(
    'WAL_NO_BACKUP_FOR_TARGET',
    reasons.length === 0
      ? 'there is no such backup'
      : `no backup fits the target (${reasons.slice(0, 3).join('; ')})`,
    {
      hint:
        wanted === 'latest'
          ? 'choose a later target, or an older timeline with --timeline; `skytools wal backups` lists what there is'
          : 'choose another target or timeline; `skytools wal backups` lists what there is',
    },
  );
}

async function unfit(
  archive: WalArchive,
  record: BackupRecord,
  target: RecoveryTarget,
  history: TimelineHistory,
): Promise<string | undefined> {
  if (record.problem !== undefined) return record.problem;
  if (target.time !== undefined && Date.parse(target.time) < Date.parse(record.stoppedAt)) {
    return `it ended after the target, at ${record.stoppedAt}`;
  }
  if (target.lsn !== undefined && parseLsn(target.lsn) < parseLsn(record.stopLsn)) {
    return `it ended after the target, at ${record.stopLsn}`;
  }
  if (!isReachable(history, record.timeline, parseLsn(record.stopLsn))) {
    return `timeline ${history.timeline} cannot be reached from it`;
  }
  const missing = await missingWal(archive, record);
  return missing.length === 0 ? undefined : `the archive lacks ${missing[0]}, which it needs`;
}

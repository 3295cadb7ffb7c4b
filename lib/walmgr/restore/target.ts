import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import type { WalArchive } from '../archive/archive.ts';
import { type BackupRecord, listBackups, missingWal, readRecord } from '../backup/record.ts';
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

/** The form that PostgreSQL reads whatever its DateStyle is. */
const ISO_TIME = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?/;
const ZONE = / ?(Z|[+-]\d\d(:?\d\d)?)$/;

/** Bytes of a restore point's name: MAXFNAMELEN of PostgreSQL, and the end of a string. */
const LONGEST_NAME = 63;

/** Below it are the ids that PostgreSQL keeps for itself. */
const FIRST_XID = 3n;

/** @throws UsageError WAL_TARGET_INVALID, WAL_LSN_INVALID */
export function checkTarget({ time, lsn, name, xid, immediate, inclusive, timeline }: RecoveryTarget): void {
  const fail = (message: string, hint: string): never => {
    throw new UsageError('WAL_TARGET_INVALID', message, { hint });
  };
  if ([time, lsn, name, xid, immediate || undefined].filter((value) => value !== undefined).length > 1) {
    fail('more than one recovery target', 'give one of --target-time, -lsn, -name, -xid, --immediate');
  }
  if (time !== undefined && (!ISO_TIME.test(time.trim()) || Number.isNaN(Date.parse(time)))) {
    fail(`not a time: ${JSON.stringify(time)}`, 'write it like 2026-11-22T20:15:00Z, with its zone');
  }
  if (time !== undefined && !ZONE.test(time.trim().replace(ISO_TIME, ''))) {
    fail(`${time} names no time zone`, 'add Z for UTC, or an offset such as +01:00');
  }
  if (lsn !== undefined) parseLsn(lsn);
  if (name !== undefined && (name === '' || Buffer.byteLength(name) > LONGEST_NAME)) {
    fail(
      `not the name of a restore point: ${JSON.stringify(name)}`,
      `it has 1 to ${LONGEST_NAME} bytes, as given to pg_create_restore_point`,
    );
  }
  if (xid !== undefined && (!/^\d{1,20}$/.test(xid) || BigInt(xid) < FIRST_XID || BigInt(xid) >= 1n << 64n)) {
    fail(
      `not a transaction id: ${JSON.stringify(xid)}`,
      '`select pg_current_xact_id()` shows what they look like',
    );
  }
  if (inclusive === false && time === undefined && lsn === undefined && xid === undefined) {
    fail(
      'there is nothing to stop just before',
      '--exclusive goes with --target-time, --target-lsn or --target-xid',
    );
  }
  if (typeof timeline === 'number' && !(timeline >= 1 && timeline < 2 ** 32)) {
    fail(`not a timeline: ${timeline}`, 'a number from 1, or latest; `skytools wal show` lists them');
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
 * @param name of the only one that may be chosen
 * @throws UsageError as {@link checkTarget}, WAL_BACKUP_NAME_INVALID; SkytoolsError WAL_NO_BACKUP_FOR_TARGET,
 *   WAL_BACKUP_MISSING, WAL_TIMELINE_MISSING
 */
export async function chooseBackup(
  archive: WalArchive,
  target: RecoveryTarget,
  name?: string,
): Promise<{ record: BackupRecord; history: TimelineHistory }> {
  checkTarget(target);
  const wanted = target.timeline ?? 'latest';
  const candidates =
    name === undefined ? (await listBackups(archive)).reverse() : [await readRecord(archive, name)];
  const history = await readHistory(archive, wanted === 'latest' ? await latestTimeline(archive) : wanted);
  const reasons: string[] = [];
  for (const record of candidates) {
    const reason = await unfit(archive, record, target, history);
    if (reason === undefined) return { record, history };
    reasons.push(`${record.name}: ${reason}`);
  }
  const others = [
    'a later target',
    wanted === 'latest' ? 'an older timeline with --timeline' : 'another timeline',
    ...(name === undefined ? [] : ['another backup']),
  ];
  throw new SkytoolsError(
    'WAL_NO_BACKUP_FOR_TARGET',
    reasons.length === 0
      ? 'the archive has no backup'
      : `no backup fits the target (${reasons.slice(0, 3).join('; ')})`,
    {
      hint:
        reasons.length === 0
          ? 'take one with `skytools wal backup`; WAL alone restores nothing'
          : `choose ${others.join(', or ')}; \`skytools wal backups\` lists what there is`,
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

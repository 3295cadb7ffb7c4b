import { SkytoolsError } from '../../platform/errors.ts';
import type { WalArchive } from '../archive/archive.ts';
import { sha256 } from '../archive/codec.ts';
import { parseLsn } from '../wal/lsn.ts';
import { historyName, parseWalName, segmentEndingAt, segmentName, segmentOf } from '../wal/name.ts';
import type { Volume } from './volume.ts';

/** `backup.json`: written last, and by that making a set of objects a backup. */
export interface BackupRecord {
  version: 1;
  name: string;
  systemIdentifier: string;
  major: number;
  timeline: number;
  startLsn: string;
  stopLsn: string;
  /** By the server's clock, ISO 8601. */
  startedAt: string;
  stoppedAt: string;
  label: string;
  tablespaces: { oid: string; location: string }[];
  volumes: Volume[];
  manifestSha256: string;
  files: number;
  plainSize: number;
  objectSize: number;
  /** Why the backup must not be used; absent if nothing is wrong with it. */
  problem?: string;
}

const RECORD_BYTES = 64 << 20;
export const MANIFEST_FILE = 'backup_manifest';
const RECORD_FILE = 'backup.json';

export async function writeRecord(archive: WalArchive, record: BackupRecord): Promise<void> {
  const body = Buffer.from(`${JSON.stringify(record, null, 1)}\n`);
  const key = archive.keys.backup(record.name) + RECORD_FILE;
  if (!(await archive.store.put(key, body, sha256(body), { onlyIfAbsent: true }))) {
    throw new SkytoolsError('WAL_CONFLICT', `backup ${record.name} exists already`, { subject: { key } });
  }
}

/** A backup's record. @throws SkytoolsError WAL_BACKUP_MISSING */
export async function readRecord(archive: WalArchive, name: string): Promise<BackupRecord> {
  const found = await archive.store.get(archive.keys.backup(name) + RECORD_FILE, RECORD_BYTES);
  if (!found) {
    throw new SkytoolsError('WAL_BACKUP_MISSING', `there is no finished backup ${name}`, {
      hint: '`skytools wal backups` lists them',
      subject: { backup: name },
    });
  }
  const record = JSON.parse(found.body.toString('utf8')) as BackupRecord;
  if (record.version !== 1) {
    throw new SkytoolsError('WAL_ARCHIVE_INVALID', `backup ${name} was made by a newer version`, {
      hint: 'use the version that made it',
    });
  }
  return record;
}

/** Every finished backup, oldest first. */
export async function listBackups(archive: WalArchive): Promise<BackupRecord[]> {
  const records: BackupRecord[] = [];
  for await (const directory of archive.store.listDirectories(archive.keys.backups)) {
    const name = directory.split('/').at(-2)!;
    if (await archive.store.head(directory + RECORD_FILE)) records.push(await readRecord(archive, name));
  }
  return records;
}

/** The names of the segments that a backup needs to become consistent. */
export function neededSegments(
  record: Pick<BackupRecord, 'timeline' | 'startLsn' | 'stopLsn'>,
  segmentSize: number,
): string[] {
  const names: string[] = [];
  const last = segmentEndingAt(parseLsn(record.stopLsn), segmentSize);
  for (let segno = segmentOf(parseLsn(record.startLsn), segmentSize); segno <= last; segno++) {
    names.push(segmentName(record.timeline, segno, segmentSize));
  }
  return names;
}

/** Those of {@link neededSegments} (and the timeline's history) that the archive does not have. */
export async function missingWal(archive: WalArchive, record: BackupRecord): Promise<string[]> {
  const names = neededSegments(record, archive.identity.segmentSize);
  if (record.timeline > 1) names.unshift(historyName(record.timeline));
  const missing: string[] = [];
  for (const name of names) {
    if (!(await archive.store.head(archive.keys.file(parseWalName(name))))) missing.push(name);
  }
  return missing;
}

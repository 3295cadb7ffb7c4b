import { appendFile, chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import type { WalArchive } from '../archive/archive.ts';
import { sha256 } from '../archive/codec.ts';
import { compareWithManifest, type ManifestFile, parseManifest } from '../backup/manifest.ts';
import { type BackupRecord, MANIFEST_FILE } from '../backup/record.ts';
import { extractVolume } from './extract.ts';
import { recoverySettings, standbySettings } from './settings.ts';
import { chooseBackup, type RecoveryTarget } from './target.ts';

export interface RestoreOptions {
  /** Data directory to make; must not exist or be empty. */
  to: string;
  target?: RecoveryTarget;
  /** A backup's name; default: the newest that fits. */
  backup?: string;
  /** New places of tablespaces, by their old place. A tablespace's old place must be empty otherwise. */
  tablespaceMap?: Record<string, string>;
  /** Make a standby instead of a copy that goes its own way; `primary`: connect string of the server it follows. */
  standby?: { primary?: string };
  /** How PostgreSQL starts `wal fetch`, with %f and %p. */
  fetchCommand: string;
  /** Volumes fetched at once. */
  parallel?: number;
  /** Flush every file to disk. */
  sync?: boolean;
  onProgress?: (done: number, total: number) => void;
}

export interface RestoreResult {
  did: BackupRecord;
  files: number;
  /** What remains to be done, for people. */
  next: string[];
}

/** Volumes fetched at once: decompression is one thread each. */
const PARALLEL = 4;

const MANIFEST_LIMIT = 256 << 20;

/**
 * Makes a data directory from a backup and the settings that make PostgreSQL recover to the target when it is started.
 * Every file has been compared with the backup's manifest when this returns.
 *
 * @throws UsageError WAL_RESTORE_NOT_EMPTY; SkytoolsError WAL_NO_BACKUP_FOR_TARGET, WAL_OBJECT_DAMAGED
 */
export async function restore(archive: WalArchive, options: RestoreOptions): Promise<RestoreResult> {
  const directory = path.resolve(options.to);
  const target = options.target ?? {};
  const { record, timeline } = await chooseBackup(archive, target, options.backup);
  const places = tablespacePlaces(record, options.tablespaceMap ?? {});
  await makeEmpty(directory);
  for (const place of places.values()) await makeEmpty(place);

  const backupKey = archive.keys.backup(record.name);
  const manifestObject = await archive.store.get(backupKey + MANIFEST_FILE, MANIFEST_LIMIT);
  if (!manifestObject || sha256(manifestObject.body) !== record.manifestSha256) {
    throw new SkytoolsError(
      'WAL_MANIFEST_INVALID',
      `the manifest of backup ${record.name} is missing or damaged`,
      {
        hint: 'choose another backup with --backup',
      },
    );
  }
  const manifest = parseManifest(manifestObject.body);

  const seen = new Map<string, ManifestFile>();
  const queue = [...record.volumes];
  let done = 0;
  const work = async () => {
    for (let volume = queue.shift(); volume; volume = queue.shift()) {
      const isBase = volume.archive === 'base';
      await extractVolume(
        archive,
        backupKey + volume.file,
        volume,
        isBase ? '' : `pg_tblspc/${volume.archive}/`,
        seen,
        {
          directory: isBase ? directory : places.get(volume.archive)!,
          sync: options.sync ?? true,
          onBytes: (bytes) => {
            done += bytes;
            options.onProgress?.(done, record.plainSize);
          },
        },
      );
    }
  };
  await Promise.all(Array.from({ length: options.parallel ?? PARALLEL }, work));
  const problems = compareWithManifest(manifest, seen);
  if (problems.length > 0) {
    throw new SkytoolsError(
      'WAL_OBJECT_DAMAGED',
      `the restored files are not what was backed up: ${problems[0]}`,
      {
        hint: 'choose another backup with --backup',
        subject: { backup: record.name, differences: String(problems.length) },
      },
    );
  }
  await writeFile(path.join(directory, MANIFEST_FILE), manifestObject.body, { mode: 0o600 });
  await mapTablespaces(directory, record, places);
  const { standby, fetchCommand } = options;
  await prepareRecovery(
    directory,
    standby ? 'standby.signal' : 'recovery.signal',
    standby
      ? standbySettings(fetchCommand, standby.primary)
      : recoverySettings(target, fetchCommand, timeline),
  );
  return { did: record, files: seen.size, next: await nextSteps(directory, standby !== undefined) };
}

function tablespacePlaces(record: BackupRecord, map: Record<string, string>): Map<string, string> {
  const unknown = Object.keys(map).find((old) => !record.tablespaces.some((space) => space.location === old));
  if (unknown !== undefined) {
    throw new UsageError('WAL_TABLESPACE_UNKNOWN', `the backup has no tablespace at ${unknown}`, {
      hint: `its tablespaces are at: ${record.tablespaces.map((space) => space.location).join(', ') || '(none)'}`,
    });
  }
  return new Map(
    record.tablespaces.map((space) => [space.oid, path.resolve(map[space.location] ?? space.location)]),
  );
}

async function makeEmpty(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length > 0) {
    throw new UsageError('WAL_RESTORE_NOT_EMPTY', `${directory} is not empty`, {
      hint: 'move what is there away; a restore overwrites nothing',
      subject: { file: directory },
    });
  }
  await chmod(directory, 0o700);
}

/** The server makes the links of tablespaces from this file when recovery begins. */
async function mapTablespaces(
  directory: string,
  record: BackupRecord,
  places: Map<string, string>,
): Promise<void> {
  if (record.tablespaces.every((space) => places.get(space.oid) === space.location)) return;
  const escaped = (text: string) => text.replace(/[\n\r\\]/g, (char) => `\\${char}`);
  const lines = [...places].map(([oid, place]) => `${oid} ${escaped(place)}\n`);
  await writeFile(path.join(directory, 'tablespace_map'), lines.join(''), { mode: 0o600 });
}

async function prepareRecovery(directory: string, signal: string, settings: string): Promise<void> {
  await mkdir(path.join(directory, 'pg_wal', 'archive_status'), { recursive: true, mode: 0o700 });
  await appendFile(path.join(directory, 'postgresql.auto.conf'), settings, { mode: 0o600 });
  await writeFile(path.join(directory, signal), '', { mode: 0o600 });
}

async function nextSteps(directory: string, isStandby: boolean): Promise<string[]> {
  const hasConfig = await stat(path.join(directory, 'postgresql.conf')).catch(() => undefined);
  const version = (await readFile(path.join(directory, 'PG_VERSION'), 'utf8').catch(() => '')).trim();
  return [
    ...(hasConfig
      ? []
      : [
          `put postgresql.conf and pg_hba.conf where PostgreSQL ${version} looks for them; the backup has none`,
        ]),
    `start the server as the owner of ${directory}: pg_ctl -D ${directory} start`,
    ...(isStandby ? STANDBY_STEPS : RECOVERY_STEPS),
  ];
}

const STANDBY_STEPS = [
  'it follows its primary; `select pg_promote()` makes it the primary, on a new timeline',
  'archive_mode is off in it: `alter system reset archive_mode` before the restart after which it shall be archived',
];

const RECOVERY_STEPS = [
  'it recovers to the target and then accepts writes on a new timeline; check the data',
  'archive_mode is off in the copy: `alter system reset archive_mode` and restart once it is the one to keep, then take a backup',
];

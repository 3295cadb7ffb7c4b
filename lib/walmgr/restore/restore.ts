import { appendFile, chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { errorMessage, SkytoolsError } from '../../platform/errors.ts';
import type { WalArchive } from '../archive/archive.ts';
import { sha256 } from '../archive/codec.ts';
import { compareWithManifest, type ManifestFile, parseManifest } from '../backup/manifest.ts';
import { type BackupRecord, MANIFEST_FILE } from '../backup/record.ts';
import { extractVolume } from './extract.ts';
import { planRestore, type RestorePlan, type RestorePlanOptions } from './plan.ts';
import { recoverySettings, standbySettings } from './settings.ts';

export interface RestoreOptions extends RestorePlanOptions {
  /** Make a standby instead of a copy that goes its own way; `primary`: connect string of the server it follows. */
  standby?: { primary?: string };
  /** How PostgreSQL starts `wal fetch`, with %f and %p. */
  fetchCommand: string;
  /** Volumes fetched at once. */
  parallel?: number;
  /** Flush every file to disk. */
  sync?: boolean;
  /** Told before the first byte is fetched or written. */
  onPlan?: (plan: RestorePlan) => void;
  onProgress?: (done: number, total: number) => void;
}

export interface RestoreResult {
  did: RestorePlan;
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
 * @throws UsageError and SkytoolsError as {@link planRestore}, and WAL_MANIFEST_INVALID, before anything is written;
 *   WAL_RESTORE_DIRECTORY, WAL_OBJECT_DAMAGED
 */
export async function restore(archive: WalArchive, options: RestoreOptions): Promise<RestoreResult> {
  const plan = await planRestore(archive, options);
  const { backup: record, timeline, directory, tablespaces } = plan;
  options.onPlan?.(plan);
  const backupKey = archive.keys.backup(record.name);
  const manifestText = await readManifest(archive, record);
  const manifest = parseManifest(manifestText);
  const places = new Map(tablespaces.map(({ oid, to }) => [oid, to]));
  for (const place of [directory, ...places.values()]) await makeDirectory(place);

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
          checksums: manifest.algorithm,
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
  await writeFile(path.join(directory, MANIFEST_FILE), manifestText, { mode: 0o600 });
  await mapTablespaces(directory, tablespaces);
  const { standby, fetchCommand } = options;
  await prepareRecovery(
    directory,
    standby ? 'standby.signal' : 'recovery.signal',
    standby
      ? standbySettings(fetchCommand, standby.primary)
      : recoverySettings(options.target ?? {}, fetchCommand, timeline),
  );
  return { did: plan, files: seen.size, next: await nextSteps(directory, standby !== undefined) };
}

async function readManifest(archive: WalArchive, record: BackupRecord): Promise<Buffer> {
  const found = await archive.store.get(archive.keys.backup(record.name) + MANIFEST_FILE, MANIFEST_LIMIT);
  if (found && sha256(found.body) === record.manifestSha256) return found.body;
  throw new SkytoolsError(
    'WAL_MANIFEST_INVALID',
    `the manifest of backup ${record.name} is missing or damaged`,
    { hint: 'choose another backup with --backup' },
  );
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
  } catch (error) {
    throw new SkytoolsError('WAL_RESTORE_DIRECTORY', `${directory} cannot be made: ${errorMessage(error)}`, {
      hint: 'run as the account of the server, which must be able to write there',
      subject: { file: directory },
      cause: error,
    });
  }
}

/** The server makes the links of tablespaces from this file when recovery begins. */
async function mapTablespaces(directory: string, tablespaces: RestorePlan['tablespaces']): Promise<void> {
  if (tablespaces.every(({ from, to }) => from === to)) return;
  const escaped = (text: string) => text.replace(/[\n\r\\]/g, (char) => `\\${char}`);
  const lines = tablespaces.map(({ oid, to }) => `${oid} ${escaped(to)}\n`);
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
  'archive_mode is off in it: `alter system set archive_mode = on` before the restart after which it shall be archived',
];

const RECOVERY_STEPS = [
  'it recovers to the target and then accepts writes on a new timeline; check the data',
  'archive_mode is off in the copy: once it is the one to keep, `alter system set archive_mode = on` and restart, or pull from it; then take a backup',
];

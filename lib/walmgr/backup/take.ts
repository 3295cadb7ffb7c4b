import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Deadline } from '../../platform/deadline.ts';
import { errorMessage, SkytoolsError } from '../../platform/errors.ts';
import { hasSqlState, toSkytoolsError } from '../../postgres/errors.ts';
import type { WalArchive } from '../archive/archive.ts';
import { sha256 } from '../archive/codec.ts';
import { backupName } from '../archive/location.ts';
import { CopyCommand } from '../replication/copy-command.ts';
import type { ReplicationSource } from '../replication/source.ts';
import { type Lsn, parseLsn } from '../wal/lsn.ts';
import { segmentName, segmentOf } from '../wal/name.ts';
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm } from './checksum.ts';
import { compareWithManifest, parseManifest } from './manifest.ts';
import { type BackupRecord, MANIFEST_FILE, missingWal, writeRecord } from './record.ts';
import { BackupSink } from './sink.ts';

export interface BackupOptions {
  deadline?: Deadline;
  /** Begin with an immediate checkpoint instead of waiting for one spread over minutes. */
  fast?: boolean;
  /** Of the files, in the manifest. SHA-256 costs either side 0.5 s for each GB; CRC-32C finds what accident has changed. */
  checksums?: ChecksumAlgorithm;
  /** How long to wait for the WAL the backup needs to reach the archive, in milliseconds; 0: do not. */
  waitForWalMs?: number;
  /** Plain bytes after which a volume ends. */
  volumeBytes?: number;
  onProgress?: (done: number, total: number) => void;
}

export interface BackupResult {
  did: BackupRecord;
  /** WAL that has to arrive before the backup can be used; the backup is kept, and listed as waiting. */
  missing: string[];
}

/** WAL is looked for this often, in milliseconds. */
const WAL_LOOK_MS = 500;

/** Bytes a second that a function moves at least: cluster sizes above this times the time left are refused at once. */
export const FUNCTION_BYTES_PER_SECOND = 40 << 20;

/** Kept for the upload of the last parts, the manifest and the record, in milliseconds. */
const ENDING_MS = 20_000;

/** Largest manifest that is held in memory: some hundred thousand files. */
const MANIFEST_BYTES = 128 << 20;

/**
 * Takes a base backup: one BASE_BACKUP over the replication protocol, streamed into the archive. It counts from the
 * moment its record is written, which is after every file has been compared with the manifest.
 *
 * @throws SkytoolsError WAL_BACKUP_TOO_LARGE when it would not be done before the deadline (nothing is begun then)
 * @throws SkytoolsError WAL_BACKUP_DAMAGED when what arrived is not what the manifest says
 */
export async function takeBackup(
  archive: WalArchive,
  source: ReplicationSource,
  options: BackupOptions = {},
): Promise<BackupResult> {
  const deadline = options.deadline ?? Deadline.never();
  const checksums = options.checksums ?? CHECKSUM_ALGORITHMS[0];
  const startedAt = await source.clock();
  let name = '';
  const stream = new BackupStream(deadline, options.onProgress, (start, timeline) => {
    const size = archive.identity.segmentSize;
    name = backupName(startedAt, segmentName(timeline, segmentOf(start, size), size));
    return new BackupSink({
      store: archive.store,
      directory: archive.keys.backup(name),
      level: archive.level,
      checksums,
      threads: Math.min(4, availableParallelism()),
      ...(options.volumeBytes === undefined ? {} : { volumeBytes: options.volumeBytes }),
    });
  });
  let problem: string | undefined;
  try {
    try {
      await stream.run(source, `skytools ${startedAt.toISOString()}`, options.fast === true, checksums);
    } catch (error) {
      const known = toSkytoolsError(error);
      // Pages with wrong checksums: everything was sent, and the set is kept as evidence, marked as not usable.
      if (!hasSqlState(known, 'XX001') || !stream.complete) throw known;
      problem = errorMessage(known);
    }
    await stream.sink.finish();
  } catch (error) {
    await stream.abort();
    throw error;
  }
  const { sink } = stream;
  const directory = archive.keys.backup(name);

  const manifestBytes = stream.manifest;
  const manifest = parseManifest(manifestBytes);
  const differences = compareWithManifest(manifest, sink.files);
  if (differences.length > 0) {
    throw new SkytoolsError(
      'WAL_BACKUP_DAMAGED',
      `the backup is not what its manifest says: ${differences[0]}`,
      {
        hint: 'run it again; if this repeats, suspect the disk or memory of the server',
        subject: { backup: name, differences: String(differences.length) },
      },
    );
  }
  const manifestSha256 = sha256(manifestBytes);
  await archive.store.put(directory + MANIFEST_FILE, manifestBytes, manifestSha256, { onlyIfAbsent: true });
  const stoppedAt = await source.clock();
  const record: BackupRecord = {
    version: 1,
    name,
    systemIdentifier: String(archive.identity.systemIdentifier),
    major: archive.identity.major,
    timeline: stream.timeline,
    startLsn: stream.startLsn,
    stopLsn: stream.stopLsn,
    startedAt: startedAt.toISOString(),
    stoppedAt: stoppedAt.toISOString(),
    label: sink.label,
    tablespaces: stream.tablespaces,
    volumes: sink.volumes,
    manifestSha256,
    files: sink.files.size,
    plainSize: sink.volumes.reduce((sum, volume) => sum + volume.plainSize, 0),
    objectSize: sink.volumes.reduce((sum, volume) => sum + volume.objectSize, 0),
    ...(problem === undefined ? {} : { problem }),
  };
  await storeTimelineHistory(archive, source, stream.timeline);
  await writeRecord(archive, record);
  return { did: record, missing: await waitForWal(archive, record, options.waitForWalMs ?? 0) };
}

async function storeTimelineHistory(
  archive: WalArchive,
  source: ReplicationSource,
  timeline: number,
): Promise<void> {
  const history = await source.history(timeline);
  if (history) await archive.storeFile(history.name, history.content, '');
}

/** Waits until the archive has the WAL a backup needs; returns what is missing at the end. */
export async function waitForWal(
  archive: WalArchive,
  record: BackupRecord,
  waitMs: number,
): Promise<string[]> {
  const until = Deadline.after(waitMs);
  for (;;) {
    const missing = await missingWal(archive, record);
    if (missing.length === 0 || !until.allows(WAL_LOOK_MS)) return missing;
    await sleep(WAL_LOOK_MS);
  }
}

/** Reads what BASE_BACKUP answers, in the framing of PostgreSQL 15 and newer. */
class BackupStream {
  startLsn = '';
  stopLsn = '';
  timeline = 0;
  readonly tablespaces: { oid: string; location: string }[] = [];
  readonly #makeSink: (start: Lsn, timeline: number) => BackupSink;
  #sink: BackupSink | undefined;
  readonly #deadline: Deadline;
  readonly #onProgress: ((done: number, total: number) => void) | undefined;
  #rows = 0;
  #totalBytes = 0;
  #doneBytes = 0;
  #inManifest = false;
  #manifest: Buffer[] = [];
  #manifestBytes = 0;
  #copying = false;
  #copied = false;

  constructor(
    deadline: Deadline,
    onProgress: ((done: number, total: number) => void) | undefined,
    makeSink: (start: Lsn, timeline: number) => BackupSink,
  ) {
    this.#makeSink = makeSink;
    this.#deadline = deadline;
    this.#onProgress = onProgress;
  }

  /** Where the archives go, from the moment the server has told where the backup begins. */
  get sink(): BackupSink {
    this.#sink ??= this.#makeSink(parseLsn(this.startLsn), this.timeline);
    return this.#sink;
  }

  async abort(): Promise<void> {
    await this.#sink?.abort();
  }

  get complete(): boolean {
    return this.stopLsn !== '';
  }

  get manifest(): Buffer {
    return Buffer.concat(this.#manifest, this.#manifestBytes);
  }

  async run(
    source: ReplicationSource,
    label: string,
    fast: boolean,
    checksums: ChecksumAlgorithm,
  ): Promise<void> {
    const flags = [
      `LABEL '${label}'`,
      'PROGRESS true',
      `CHECKPOINT '${fast ? 'fast' : 'spread'}'`,
      'WAIT false',
      'TABLESPACE_MAP true',
      "MANIFEST 'yes'",
      `MANIFEST_CHECKSUMS '${checksums}'`,
    ];
    let waits = 0;
    const command: CopyCommand = new CopyCommand(`BASE_BACKUP (${flags.join(', ')})`, {
      onStart: () => {
        this.#copying = true;
        this.#refuseTooLarge();
      },
      onRow: (fields) => this.#row(fields),
      onData: (payload) => {
        const wait = this.#data(payload);
        if (!wait) return;
        waits++;
        command.pause();
        wait.then(
          () => {
            if (--waits === 0) command.resume();
          },
          (error: unknown) => command.fail(error),
        );
      },
      onCopyDone: () => {
        this.#copied = true;
      },
    }).run(source.client);
    await command.finished;
  }

  /** Refused before the first byte, not discovered at the end of the function's time. */
  #refuseTooLarge(): void {
    const time = (this.#deadline.remainingMs() - ENDING_MS) / 1000;
    const possible = time * FUNCTION_BYTES_PER_SECOND;
    if (this.#totalBytes <= possible) return;
    const gib = (bytes: number) => (Math.max(0, bytes) / 2 ** 30).toFixed(1);
    throw new SkytoolsError(
      'WAL_BACKUP_TOO_LARGE',
      `the cluster has ${gib(this.#totalBytes)} GiB, which do not fit in the time left (${gib(possible)} GiB)`,
      { hint: 'run `skytools wal backup` on a host or in a container task instead' },
    );
  }

  #row(fields: (string | null)[]): void {
    const [first, second, third] = fields;
    if (this.#copied) {
      this.stopLsn = first ?? '';
    } else if (!this.#copying && this.#rows++ === 0) {
      this.startLsn = first ?? '';
      this.timeline = Number(second);
    } else {
      if (first !== null && first !== undefined)
        this.tablespaces.push({ oid: first, location: second ?? '' });
      this.#totalBytes += Number(third ?? 0) * 1024;
    }
  }

  #data(payload: Buffer): Promise<void> | undefined {
    this.#deadline.check('the base backup', ENDING_MS / 2);
    const body = payload.subarray(1);
    switch (payload[0]) {
      case 0x6e: {
        const name = body.toString('utf8', 0, body.indexOf(0));
        this.sink.begin(name.replace(/\.tar$/, ''));
        return undefined;
      }
      case 0x6d:
        this.#inManifest = true;
        return undefined;
      case 0x64:
        if (this.#inManifest) return this.#manifestData(body);
        this.#doneBytes += body.length;
        this.#onProgress?.(this.#doneBytes, Math.max(this.#totalBytes, this.#doneBytes));
        return this.sink.write(body);
      default:
        return undefined;
    }
  }

  #manifestData(body: Buffer): undefined {
    this.#manifestBytes += body.length;
    if (this.#manifestBytes > MANIFEST_BYTES) {
      throw new SkytoolsError('WAL_MANIFEST_INVALID', 'the backup manifest is too large', {
        hint: 'back this cluster up with a tool that keeps the manifest on disk',
      });
    }
    this.#manifest.push(Buffer.from(body));
    return undefined;
  }
}

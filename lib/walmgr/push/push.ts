import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { SkytoolsError } from '../../platform/errors.ts';
import { readStart, type StoredFile, WalArchive } from '../archive/archive.ts';
import type { ArchiveIdentity } from '../archive/identity.ts';
import { ArchiveKeys, type ArchiveLocation, clientOptions } from '../archive/location.ts';
import { ObjectStore } from '../s3/store.ts';
import { historyName, isWalName, parseWalName } from '../wal/name.ts';
import { LONG_HEADER_BYTES, readSegmentHeader } from '../wal/page.ts';
import { markOf, PushSpool, readyFiles } from './spool.ts';

export interface PushOptions {
  location: ArchiveLocation;
  /** The words that address the archive, for the notes; see {@link PushSpool}. */
  address: string;
  /** zstd level. */
  level?: number;
  /** Files sent at once. */
  parallel?: number;
  store?: ObjectStore;
}

export interface PushResult {
  did: StoredFile;
  /** Files that later calls will find sent. */
  ahead: number;
}

/**
 * Files sent at once by default. Compression is one thread each; four keep two cores busy while one waits for S3, and
 * four 16 MiB segments with their compressed copies stay below 256 MB.
 */
const PARALLEL = 4;

/** Memory for plain segments in flight, in bytes: fewer at once when they are large. */
const IN_FLIGHT_BYTES = 64 << 20;

/** Most files one call sends ahead: as many as PostgreSQL collects in one look at archive_status. */
const AHEAD_FILES = 64;

/** No further file is begun after this time, so that a server that shuts down does not wait long. Milliseconds. */
const AHEAD_MS = 20_000;

/**
 * Sends one file that PostgreSQL wants archived, and the ones that wait behind it. Returns when the asked one and those
 * begun with it are durable; a failure of another one is left to the call that asks for it.
 *
 * @param file the path PostgreSQL gives as `%p`
 * @throws SkytoolsError whatever keeps `file` from being durable in the archive
 */
export async function pushWal(file: string, options: PushOptions): Promise<PushResult> {
  const walDirectory = path.dirname(file);
  const name = path.basename(file);
  const { timeline } = parseWalName(name);
  const spool = new PushSpool(walDirectory, options.address);
  await spool.prepare();
  const archive = await openForPush(file, spool, options);
  await storeHistory(archive, spool, walDirectory, timeline);
  const startedAt = performance.now();
  const ready = await readyFiles(walDirectory);
  const parallel = Math.max(
    1,
    Math.min(options.parallel ?? PARALLEL, Math.floor(IN_FLIGHT_BYTES / archive.identity.segmentSize)),
  );

  const queue = ready.filter((other) => other !== name).slice(0, AHEAD_FILES);
  let failed = false;
  let ahead = 0;
  const sendAhead = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (failed || performance.now() - startedAt > AHEAD_MS) return;
      try {
        if (await sendNoted(archive, spool, path.join(walDirectory, next))) ahead++;
      } catch {
        // PostgreSQL will ask for this file itself, and that call reports what is wrong.
        failed = true;
      }
    }
  };
  const asked = archive.storeFile(name, file, spool.directory).catch((error: unknown) => {
    failed = true;
    throw error;
  });
  const workers = Array.from({ length: parallel - 1 }, sendAhead);
  workers.push(asked.then(sendAhead));
  const results = await Promise.allSettled(workers);
  const refused = results.find((result) => result.status === 'rejected');
  if (refused) throw refused.reason;
  await spool.forgetAllBut(new Set(ready));
  if (!options.store) archive.store.close();
  return { did: await asked, ahead };
}

async function sendNoted(archive: WalArchive, spool: PushSpool, file: string): Promise<boolean> {
  const name = path.basename(file);
  const mark = await markOf(file);
  if (await spool.wasSent(name, mark)) return false;
  await archive.storeFile(name, file, spool.directory);
  // A file that changed while it was read is not what was sent.
  if ((await markOf(file)) !== mark) return false;
  await spool.noteSent(name, mark);
  return true;
}

/**
 * Makes sure that the history of a timeline is in the archive before anything of it. PostgreSQL asks for that, but not if
 * archiving was off when the timeline began, as it is in a restored copy; and without it nobody can follow the timeline.
 */
async function storeHistory(
  archive: WalArchive,
  spool: PushSpool,
  walDirectory: string,
  timeline: number,
): Promise<void> {
  const name = historyName(timeline);
  const file = path.join(walDirectory, name);
  const mark = timeline > 1 ? await markOf(file).catch(() => undefined) : undefined;
  if (mark === undefined || (await spool.knowsHistory(mark))) return;
  await archive.storeFile(name, file, spool.directory);
  await spool.keepHistory(mark);
}

async function openForPush(file: string, spool: PushSpool, options: PushOptions): Promise<WalArchive> {
  const store = options.store ?? new ObjectStore(clientOptions(options.location));
  const known = await spool.identity();
  const cluster = await clusterOf(file);
  if (known && known.systemIdentifier === cluster.systemIdentifier) {
    return new WalArchive(store, new ArchiveKeys(options.location), known, options.level);
  }
  const archive = await WalArchive.claim(options.location, cluster, {
    store,
    ...(options.level === undefined ? {} : { level: options.level }),
  });
  await spool.keepIdentity(archive.identity);
  return archive;
}

/** The cluster a file belongs to: told by a segment itself, and by its neighbours for files that do not say. */
async function clusterOf(file: string): Promise<ArchiveIdentity> {
  const directory = path.dirname(file);
  const name = path.basename(file);
  const { kind } = parseWalName(name);
  const candidates =
    kind === 'segment' || kind === 'partial'
      ? [name]
      : (await readdir(directory)).filter(
          (other) => isWalName(other) && parseWalName(other).kind === 'segment',
        );
  let problem: unknown;
  for (const candidate of candidates) {
    try {
      return readSegmentHeader(
        await readStart(path.join(directory, candidate), LONG_HEADER_BYTES),
        candidate,
      );
    } catch (error) {
      // A segment made ahead of use is still all zeros; the next one will tell.
      problem = error;
    }
  }
  throw problem instanceof SkytoolsError
    ? problem
    : new SkytoolsError('WAL_FILE_MISSING', `${file} cannot be read, nor any segment beside it`, {
        hint: 'pass %p unchanged; the working directory must be the data directory',
        subject: { file },
        cause: problem,
      });
}

import type { Deadline } from '../../platform/deadline.ts';
import { BusyError, UsageError } from '../../platform/errors.ts';
import { hasSqlState, toSkytoolsError } from '../../postgres/errors.ts';
import type { StoredFile, WalArchive } from '../archive/archive.ts';
import type { ReplicationSource } from '../replication/source.ts';
import { parseHistory, type TimelineHistory } from '../wal/history.ts';
import { formatLsn } from '../wal/lsn.ts';
import { type Bookmark, findBookmark, LOOK_BACK, segmentBoundary } from './bookmark.ts';
import { type StreamEnd, WalStream } from './stream.ts';

export interface PullOptions {
  slot: string;
  deadline: Deadline;
  /** Aborted where another is at it by now: nothing more is written, and its reason is thrown. */
  signal?: AbortSignal;
  /** Go on when caught up, until the deadline: what is lost with the host is then bounded by `liveEveryMs`. */
  follow?: boolean;
  liveEveryMs?: number;
  onStored?: (stored: StoredFile) => void;
}

/** WAL that nobody has any more: recovery from a backup before it ends here. */
export interface WalGap {
  timeline: number;
  from: string;
  to: string;
}

export interface PullResult {
  did: {
    segments: number;
    pieces: number;
    bytes: number;
    timeline: number;
    /** Everything before is in the archive. */
    durable: string;
    /** How far the server was. */
    server: string;
  };
  /** WAL the server had removed before it was archived: a new base backup is needed. */
  gaps: WalGap[];
  /** `more`: there is a backlog, run again at once. */
  next: 'more' | 'idle';
}

/** The name walmgr connects by; it must never be taken for a synchronous standby. */
export const APPLICATION_NAME = 'skytools_archive';

/** One second: with the time a write takes, less than two seconds of work are lost when the host burns. */
const LIVE_EVERY_MS = 1_000;

/**
 * Archives WAL over the replication protocol, from where the archive ends until the deadline, or until there is no more.
 *
 * @throws BusyError while another pull holds the slot; the reason of `signal`
 */
export async function pullWal(
  archive: WalArchive,
  source: ReplicationSource,
  options: PullOptions,
): Promise<PullResult> {
  await refuseSynchronous(source);
  const gaps: WalGap[] = [];
  const total = { segments: 0, pieces: 0, bytes: 0 };
  let history = await serverHistory(archive, source);
  let at = await beginning(archive, source, options.slot, history);
  await source.createSlot(options.slot);

  for (;;) {
    let end: StreamEnd;
    try {
      end = await new WalStream(archive, {
        slot: options.slot,
        timeline: at.timeline,
        from: at.position,
        deadline: options.deadline,
        ...(options.signal ? { signal: options.signal } : {}),
        follow: options.follow ?? false,
        liveEveryMs: options.liveEveryMs ?? LIVE_EVERY_MS,
        ...(options.onStored ? { onStored: options.onStored } : {}),
      }).run(source);
    } catch (error) {
      const known = toSkytoolsError(error);
      if (hasSqlState(known, '55006'))
        throw new BusyError(`replication slot ${options.slot}`, { cause: error });
      // 58P01: the segment is gone; 55000: the slot was invalidated (18).
      if (!hasSqlState(known, '58P01', '55000') || gaps.length > 0) throw known;
      const earliest = await startOver(archive, source, options.slot);
      gaps.push({ timeline: at.timeline, from: formatLsn(at.position), to: formatLsn(earliest.position) });
      at = earliest;
      continue;
    }
    total.segments += end.segments;
    total.pieces += end.pieces;
    total.bytes += end.bytes;
    if (!end.next) {
      const did = {
        ...total,
        timeline: at.timeline,
        durable: formatLsn(end.durable),
        server: formatLsn(end.server),
      };
      return { did, gaps, next: end.caughtUp ? 'idle' : 'more' };
    }
    // The history of a timeline is stored before its first segment: recovery looks for it first.
    const following = await source.history(end.next.timeline);
    if (following) {
      await archive.storeFile(following.name, following.content, '');
      history = parseHistory(end.next.timeline, following.content.toString('utf8'));
    }
    at = {
      timeline: end.next.timeline,
      position: segmentBoundary(end.next.position, archive.identity.segmentSize),
    };
  }
}

async function refuseSynchronous(source: ReplicationSource): Promise<void> {
  const names = await source.show('synchronous_standby_names');
  if (!names.includes('*') && !names.includes(APPLICATION_NAME)) return;
  throw new UsageError('WAL_SYNCHRONOUS', `synchronous_standby_names would count this archive: ${names}`, {
    hint: 'name the standbys one by one: commits must not wait for an archive that comes and goes',
  });
}

async function serverHistory(archive: WalArchive, source: ReplicationSource): Promise<TimelineHistory> {
  const { timeline } = await source.identify();
  const found = await source.history(timeline);
  if (!found) return { timeline, ancestors: [] };
  await archive.storeFile(found.name, found.content, '');
  return parseHistory(timeline, found.content.toString('utf8'));
}

/**
 * Where pulling begins: where the archive ends; or, in an empty one, at what the slot holds back, else with the segment
 * being written.
 */
async function beginning(
  archive: WalArchive,
  source: ReplicationSource,
  slot: string,
  history: TimelineHistory,
): Promise<Bookmark> {
  const bookmark = await findBookmark(archive, history);
  const held = await source.slot(slot);
  const size = archive.identity.segmentSize;
  if (bookmark) {
    const start = held?.position === undefined ? undefined : segmentBoundary(held.position, size);
    // A first pull that was killed may have stored its second segment and not its first; no listing shows that the first
    // is missing, but the slot was never told of it.
    const isNear =
      held?.timeline === bookmark.timeline &&
      start !== undefined &&
      start < bookmark.position &&
      bookmark.position - start <= LOOK_BACK * BigInt(size);
    return isNear ? { timeline: bookmark.timeline, position: start } : bookmark;
  }
  const { timeline, position } = await source.identify();
  return {
    timeline: held?.position === undefined ? timeline : (held.timeline ?? history.timeline),
    position: segmentBoundary(held?.position ?? position, size),
  };
}

/** Makes the slot anew and begins with the oldest WAL it can hold. */
async function startOver(archive: WalArchive, source: ReplicationSource, slot: string): Promise<Bookmark> {
  if (await source.slot(slot)) await source.dropSlot(slot);
  await source.createSlot(slot);
  const held = await source.slot(slot);
  const { timeline, position } = await source.identify();
  return {
    timeline: held?.timeline ?? timeline,
    position: segmentBoundary(held?.position ?? position, archive.identity.segmentSize),
  };
}

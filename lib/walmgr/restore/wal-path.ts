import type { WalArchive } from '../archive/archive.ts';
import { listLive, liveCoverage } from '../archive/live.ts';
import { listSegments } from '../archive/segments.ts';
import type { BackupRecord } from '../backup/record.ts';
import type { ArchiveGap } from '../verify.ts';
import type { TimelineHistory } from '../wal/history.ts';
import { asLsn, formatLsn, type Lsn, lowerLsn, parseLsn } from '../wal/lsn.ts';
import { parseWalName, segmentName, segmentOf, segmentStart } from '../wal/name.ts';

/** The WAL that recovery goes through, from a backup to where it shall stop. */
export interface WalPath {
  /** The backup's beginning. */
  from: string;
  /** Where it stops: at a target that is a position, or with the last byte that the archive has. */
  to: string;
  first: string;
  last: string;
  /** Whole segments that are there, and the bytes of their objects. */
  segments: number;
  bytes: number;
  /** The segment in which the archive ends, if it has only its beginning. */
  unfinished?: string;
  /** Segments that are not there; recovery ends, or fails, before the first of them. */
  missing: ArchiveGap[];
}

/** Consecutive segments that recovery asks one timeline for. */
interface Stretch {
  timeline: number;
  from: bigint;
  /** The last one; undefined: as many as there are. */
  to: bigint | undefined;
}

/**
 * Goes the way of recovery through the listing of the archive.
 *
 * @param history of the timeline that recovery goes to
 * @param stop the position that is enough, where it is known before
 */
export async function walPath(
  archive: WalArchive,
  record: BackupRecord,
  history: TimelineHistory,
  stop: Lsn | undefined,
): Promise<WalPath> {
  const size = archive.identity.segmentSize;
  const begin = parseLsn(record.startLsn);
  const stretches = stretchesOf(record.timeline, segmentOf(begin, size), history, stop, size);
  const first = segmentName(record.timeline, stretches[0]!.from, size);
  const path: WalPath = {
    from: record.startLsn,
    to: '',
    first,
    last: first,
    segments: 0,
    bytes: 0,
    missing: [],
  };
  let end = begin;
  for (const { timeline, from, to } of stretches) {
    let next = from;
    const lack = (last: bigint) =>
      path.missing.push({
        timeline,
        first: segmentName(timeline, next, size),
        last: segmentName(timeline, last, size),
        count: Number(last - next + 1n),
      });
    for await (const { name, segno, bytes } of segmentsFrom(archive, timeline, from, to)) {
      if (segno > next) lack(segno - 1n);
      next = segno + 1n;
      path.last = name;
      path.segments++;
      path.bytes += bytes;
    }
    end = segmentStart(next, size);
    const isLast = timeline === stretches.at(-1)!.timeline;
    if (isLast && (to === undefined || next <= to)) {
      const name = segmentName(timeline, next, size);
      const begun = await begunBytes(archive, name);
      if (begun > 0) {
        path.unfinished = name;
        end = asLsn(end + BigInt(begun));
      }
      const isEnough = stop === undefined ? begun > 0 || next > from : end > stop;
      if (!isEnough) lack(to ?? next);
    } else if (to !== undefined && next <= to) lack(to);
  }
  path.to = formatLsn(stop === undefined ? end : lowerLsn(end, stop));
  return path;
}

/** At a fork the file of the new timeline is asked for: it begins with a copy of what the old one had. */
function stretchesOf(
  timeline: number,
  first: bigint,
  history: TimelineHistory,
  stop: Lsn | undefined,
  size: number,
): Stretch[] {
  const stretches: Stretch[] = [];
  let from = first;
  for (const step of history.ancestors) {
    if (step.timeline < timeline) continue;
    const fork = segmentOf(step.end, size);
    if (fork <= from) continue;
    stretches.push({ timeline: step.timeline, from, to: fork - 1n });
    from = fork;
  }
  stretches.push({ timeline: history.timeline, from, to: undefined });
  if (stop === undefined) return stretches;
  const stopAt = segmentOf(stop, size);
  return stretches
    .filter((stretch) => stretch.from <= stopAt)
    .map((stretch) => ({
      ...stretch,
      to: stretch.to === undefined || stretch.to > stopAt ? stopAt : stretch.to,
    }));
}

/** Keys are grouped by the first sixteen digits: groups from before the backup are not listed. */
async function* segmentsFrom(archive: WalArchive, timeline: number, from: bigint, to: bigint | undefined) {
  const firstKey = archive.keys.file(parseWalName(segmentName(timeline, from, archive.identity.segmentSize)));
  const firstGroup = firstKey.slice(0, firstKey.lastIndexOf('/') + 1);
  for await (const group of archive.store.listDirectories(archive.keys.walOfTimeline(timeline))) {
    if (group < firstGroup) continue;
    for await (const segment of listSegments(archive, group)) {
      if (to !== undefined && segment.segno > to) return;
      if (segment.segno >= from) yield segment;
    }
  }
}

/** How much of a segment `wal fetch --unfinished` would deliver, in bytes. */
async function begunBytes(archive: WalArchive, name: string): Promise<number> {
  const covered = liveCoverage(await listLive(archive, name));
  if (covered > 0) return covered;
  const partial = await archive.store.head(archive.keys.file(parseWalName(`${name}.partial`)));
  return partial ? archive.identity.segmentSize : 0;
}

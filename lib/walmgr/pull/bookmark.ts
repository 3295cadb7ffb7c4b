import type { WalArchive } from '../archive/archive.ts';
import { listSegments } from '../archive/segments.ts';
import { switchPoint, type TimelineHistory } from '../wal/history.ts';
import { asLsn, type Lsn } from '../wal/lsn.ts';
import { parseWalName, segmentNumber, segmentOf, segmentStart, timelineDigits } from '../wal/name.ts';

/** Where pulling goes on: at the start of a segment. */
export interface Bookmark {
  timeline: number;
  position: Lsn;
}

/**
 * A pull that was killed may have left a later segment without the one before it, but never more of them than it sends at
 * once; a hole among so many newest segments is where it goes on.
 */
export const LOOK_BACK = 8n;

/**
 * Finds the end of what is archived on a server's timelines, by listing the archive alone.
 *
 * @param history of the server's timeline
 * @returns undefined if the archive holds nothing of these timelines
 */
export async function findBookmark(
  archive: WalArchive,
  history: TimelineHistory,
): Promise<Bookmark | undefined> {
  const size = archive.identity.segmentSize;
  for (const timeline of [history.timeline, ...history.ancestors.map((step) => step.timeline).reverse()]) {
    const numbers = await newestSegments(archive, timeline);
    if (numbers.length === 0) {
      const begun = await oldestBegun(archive, timeline);
      if (begun === undefined) continue;
      return { timeline, position: segmentStart(begun, size) };
    }
    const held = new Set(numbers);
    numbers.sort((a, b) => (a < b ? -1 : 1));
    const oldest = numbers[0]!;
    const newest = numbers.at(-1)!;
    let next = newest + 1n;
    for (let segno = newest; segno > newest - LOOK_BACK && segno >= oldest; segno--) {
      if (!held.has(segno)) next = segno;
    }
    const end = switchPoint(history, timeline);
    const following = history.ancestors.findIndex((step) => step.timeline === timeline) + 1;
    if (end && segmentStart(next, size) > end) {
      // The old timeline was archived to its end; the next begins with a copy of the segment it left.
      const onwards = history.ancestors[following]?.timeline ?? history.timeline;
      return { timeline: onwards, position: segmentStart(segmentOf(end, size), size) };
    }
    return { timeline, position: segmentStart(next, size) };
  }
  return undefined;
}

/** Numbers of the newest segments of a timeline: those of its last two groups of keys. */
async function newestSegments(archive: WalArchive, timeline: number): Promise<bigint[]> {
  const groups: string[] = [];
  const prefix = archive.keys.walOfTimeline(timeline);
  for await (const group of archive.store.listDirectories(prefix)) groups.push(group);
  const numbers: bigint[] = [];
  for (const group of groups.slice(-2)) {
    for await (const { segno } of listSegments(archive, group)) numbers.push(segno);
  }
  return numbers;
}

/** The first segment of a timeline of which the archive holds only pieces, where it holds no whole one. */
async function oldestBegun(archive: WalArchive, timeline: number): Promise<bigint | undefined> {
  for await (const directory of archive.store.listDirectories(archive.keys.live + timelineDigits(timeline))) {
    const file = parseWalName(directory.split('/').at(-2)!);
    if (file.kind === 'segment') return segmentNumber(file, archive.identity.segmentSize);
  }
  return undefined;
}

/** The start of the segment that holds a position. */
export function segmentBoundary(position: bigint, segmentSize: number): Lsn {
  return asLsn(position - (position % BigInt(segmentSize)));
}

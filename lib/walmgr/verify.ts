import { SkytoolsError } from '../platform/errors.ts';
import type { WalArchive } from './archive/archive.ts';
import { nameOfKey } from './archive/location.ts';
import { listSegments } from './archive/segments.ts';
import { listBackups, missingWal } from './backup/record.ts';
import { parseHistory, type TimelineHistory } from './wal/history.ts';
import { formatLsn } from './wal/lsn.ts';
import { isWalName, parseWalName, segmentName, segmentNumber, segmentOf, segmentStart } from './wal/name.ts';

/** Consecutive segments of a timeline. */
export interface SegmentRange {
  timeline: number;
  first: string;
  last: string;
  count: number;
  bytes: number;
}

/** Segments that are missing between two that are there. */
export interface ArchiveGap {
  timeline: number;
  first: string;
  last: string;
  count: number;
}

/** What an archive holds, from its listing. */
export interface ArchiveReport {
  segments: number;
  bytes: number;
  ranges: SegmentRange[];
  /** Missing segments that a recovery along the timelines would need. */
  gaps: ArchiveGap[];
  timelines: number[];
  backups: { name: string; stoppedAt: string; state: 'usable' | 'waiting' | 'damaged'; missing: string[] }[];
}

/** Reads the whole listing of an archive and looks for holes in it. Memory grows with its ranges, not its segments. */
export async function checkArchive(archive: WalArchive): Promise<ArchiveReport> {
  const size = archive.identity.segmentSize;
  const histories = await readHistories(archive);
  const ranges: (SegmentRange & { from: bigint; to: bigint })[] = [];
  for await (const { name, timeline, segno, bytes } of listSegments(archive, archive.keys.wal)) {
    const range = ranges.at(-1);
    if (range?.timeline === timeline && range.to + 1n === segno) {
      range.to = segno;
      range.last = name;
      range.count++;
      range.bytes += bytes;
    } else {
      ranges.push({ timeline, first: name, last: name, count: 1, bytes, from: segno, to: segno });
    }
  }

  const gaps: ArchiveGap[] = [];
  const addGap = (timeline: number, from: bigint, to: bigint) =>
    gaps.push({
      timeline,
      first: segmentName(timeline, from, size),
      last: segmentName(timeline, to, size),
      count: Number(to - from + 1n),
    });
  for (const [index, range] of ranges.entries()) {
    const before = ranges[index - 1];
    if (before?.timeline === range.timeline) addGap(range.timeline, before.to + 1n, range.from - 1n);
  }
  // At a fork the new timeline's first file is the segment that holds the switch point.
  for (const history of histories) {
    const step = history.ancestors.at(-1);
    const first = ranges.find((range) => range.timeline === history.timeline);
    if (!step || !first) continue;
    const switched = segmentOf(step.end, size);
    // Begun after the fork, with a backup of that time, it needs nothing from before.
    const isFollowed = ranges.some((range) =>
      history.ancestors.some((one) => one.timeline === range.timeline),
    );
    if (isFollowed && first.from > switched) addGap(history.timeline, switched, first.from - 1n);
    const parent = ranges.findLast((range) => range.timeline === step.timeline);
    if (parent && parent.to + 1n < switched) addGap(step.timeline, parent.to + 1n, switched - 1n);
  }

  const backups: ArchiveReport['backups'] = [];
  for (const record of await listBackups(archive)) {
    const missing = await missingWal(archive, record);
    const state = record.problem !== undefined ? 'damaged' : missing.length > 0 ? 'waiting' : 'usable';
    backups.push({ name: record.name, stoppedAt: record.stoppedAt, state, missing });
  }
  return {
    segments: ranges.reduce((sum, range) => sum + range.count, 0),
    bytes: ranges.reduce((sum, range) => sum + range.bytes, 0),
    ranges: ranges.map(({ from: _from, to: _to, ...range }) => range),
    gaps,
    timelines: [
      ...new Set([...ranges.map((range) => range.timeline), ...histories.map((h) => h.timeline)]),
    ].sort((a, b) => a - b),
    backups,
  };
}

/** Every timeline's history in the archive. */
export async function readHistories(archive: WalArchive): Promise<TimelineHistory[]> {
  const histories: TimelineHistory[] = [];
  for await (const { key } of archive.store.list(archive.keys.history)) {
    const file = parseWalName(nameOfKey(key));
    const text = await archive.readFile(file.name);
    if (text) histories.push(parseHistory(file.timeline, text.toString('utf8')));
  }
  return histories;
}

/** A file whose bytes are not what was stored. */
export interface DamagedFile {
  name: string;
  problem: string;
}

/**
 * Downloads every segment of a range and checks it as recovery would; nothing is written.
 *
 * @param from names below this one are left out
 */
export async function scrub(
  archive: WalArchive,
  options: { from?: string; onFile?: (name: string) => void } = {},
): Promise<{ checked: number; damaged: DamagedFile[] }> {
  const damaged: DamagedFile[] = [];
  let checked = 0;
  for await (const { key } of archive.store.list(archive.keys.wal)) {
    const name = nameOfKey(key);
    if (!isWalName(name) || (options.from !== undefined && name < options.from)) continue;
    options.onFile?.(name);
    checked++;
    try {
      await archive.readFile(name);
    } catch (error) {
      if (!(error instanceof SkytoolsError) || error.retryable) throw error;
      damaged.push({ name, problem: error.message });
    }
  }
  return { checked, damaged };
}

/** Where a range ends, as a position. */
export function rangeEnd(range: SegmentRange, segmentSize: number): string {
  const file = parseWalName(range.last);
  if (file.kind !== 'segment') return '';
  return formatLsn(segmentStart(segmentNumber(file, segmentSize) + 1n, segmentSize));
}

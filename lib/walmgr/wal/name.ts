import { SkytoolsError, UsageError } from '../../platform/errors.ts';
import { asLsn, type Lsn } from './lsn.ts';

/** What an archived file is, from its name alone. */
export type WalFile =
  | { kind: 'segment'; name: string; timeline: number; log: number; seg: number }
  | { kind: 'partial'; name: string; timeline: number; log: number; seg: number }
  | { kind: 'backup'; name: string; timeline: number; log: number; seg: number; offset: number }
  | { kind: 'history'; name: string; timeline: number };

/** Smallest and largest segment size initdb accepts, in bytes. */
export const MIN_SEGMENT_SIZE = 1 << 20;
export const MAX_SEGMENT_SIZE = 1 << 30;

const FILE_NAME =
  /^([0-9A-F]{8})(?:\.(history)|([0-9A-F]{8})([0-9A-F]{8})(?:\.(partial)|\.([0-9A-F]{8})\.(backup))?)$/;

/**
 * Classifies the name of a file PostgreSQL archives. Everything else is refused, so no name can leave its directory
 * or its prefix.
 *
 * @throws SkytoolsError WAL_NAME_INVALID
 */
export function parseWalName(name: string): WalFile {
  const parts = FILE_NAME.exec(name);
  if (!parts) {
    throw new SkytoolsError(
      'WAL_NAME_INVALID',
      `not the name of a wal file: ${JSON.stringify(name.slice(0, 80))}`,
      {
        hint: 'pass %p to push, and %f to fetch, unchanged',
        subject: { file: name.slice(0, 80) },
      },
    );
  }
  const hex = (index: number) => Number.parseInt(parts[index]!, 16);
  const timeline = hex(1);
  if (parts[2]) return { kind: 'history', name, timeline };
  const where = { name, timeline, log: hex(3), seg: hex(4) };
  if (parts[5]) return { kind: 'partial', ...where };
  if (parts[7]) return { kind: 'backup', ...where, offset: hex(6) };
  return { kind: 'segment', ...where };
}

/** Names that {@link parseWalName} accepts, without the exception. */
export function isWalName(name: string): boolean {
  return FILE_NAME.test(name);
}

/** @throws UsageError WAL_SEGMENT_SIZE_INVALID unless a power of two between 1 MiB and 1 GiB */
export function checkSegmentSize(bytes: number): number {
  if (
    !Number.isInteger(bytes) ||
    bytes < MIN_SEGMENT_SIZE ||
    bytes > MAX_SEGMENT_SIZE ||
    (bytes & (bytes - 1)) !== 0
  ) {
    throw new UsageError('WAL_SEGMENT_SIZE_INVALID', `not a wal segment size: ${bytes} bytes`, {
      hint: 'a power of two from 1 MiB to 1 GiB; `show wal_segment_size` tells the right one',
    });
  }
  return bytes;
}

/** Segments in one "log id", the middle eight digits of a name: 256 at 16 MiB. */
export function segmentsPerLog(segmentSize: number): bigint {
  return 0x1_0000_0000n / BigInt(segmentSize);
}

/** The number of the segment that holds `lsn`. */
export function segmentOf(lsn: bigint, segmentSize: number): bigint {
  return lsn / BigInt(segmentSize);
}

/** The number of the segment whose end is at or after `lsn`: a position on a boundary belongs to the file before it. */
export function segmentEndingAt(lsn: bigint, segmentSize: number): bigint {
  return lsn === 0n ? 0n : (lsn - 1n) / BigInt(segmentSize);
}

/** First position of a segment. */
export function segmentStart(segno: bigint, segmentSize: number): Lsn {
  return asLsn(segno * BigInt(segmentSize));
}

/** Distance of `lsn` from the beginning of its segment. */
export function offsetInSegment(lsn: bigint, segmentSize: number): number {
  return Number(lsn % BigInt(segmentSize));
}

const hex8 = (value: number | bigint) => value.toString(16).toUpperCase().padStart(8, '0');

/** The 24-digit file name of a segment. */
export function segmentName(timeline: number, segno: bigint, segmentSize: number): string {
  const perLog = segmentsPerLog(segmentSize);
  return hex8(timeline) + hex8(segno / perLog) + hex8(segno % perLog);
}

/** `0000000A.history` */
export function historyName(timeline: number): string {
  return `${hex8(timeline)}.history`;
}

/** Eight upper-case hexadecimal digits of a timeline, as names begin with. */
export function timelineDigits(timeline: number): string {
  return hex8(timeline);
}

/**
 * The segment number a name stands for.
 *
 * @throws SkytoolsError WAL_NAME_INVALID when the last eight digits are too large for this segment size
 */
export function segmentNumber(file: { name: string; log: number; seg: number }, segmentSize: number): bigint {
  const perLog = segmentsPerLog(segmentSize);
  if (BigInt(file.seg) >= perLog) {
    throw new SkytoolsError(
      'WAL_NAME_INVALID',
      `${file.name} cannot exist with segments of ${segmentSize} bytes`,
      { hint: 'the file belongs to a cluster with another wal segment size', subject: { file: file.name } },
    );
  }
  return BigInt(file.log) * perLog + BigInt(file.seg);
}

/** The name of the segment `count` places after (or, negative, before) the given one, on the same timeline. */
export function neighbour(name: string, count: number, segmentSize: number): string {
  const file = parseWalName(name);
  if (file.kind !== 'segment') throw new UsageError('WAL_NAME_INVALID', `${name} is not a segment`);
  return segmentName(file.timeline, segmentNumber(file, segmentSize) + BigInt(count), segmentSize);
}

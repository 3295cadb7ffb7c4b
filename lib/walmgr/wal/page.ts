import { SkytoolsError } from '../../platform/errors.ts';
import { formatLsn } from './lsn.ts';
import { checkSegmentSize, segmentNumber, segmentStart, type WalFile } from './name.ts';

/** Bytes of the long page header that every segment begins with. */
export const LONG_HEADER_BYTES = 40;

/** `XLOG_PAGE_MAGIC` of each major version (access/xlog_internal.h). */
export const PAGE_MAGIC: Readonly<Record<number, number>> = {
  53517: 14,
  53520: 15,
  53523: 16,
  53526: 17,
  53528: 18,
};

const FLAG_LONG_HEADER = 0x0002;
const WAL_BLOCK_SIZE = 8192;

/** The first page header of a segment, little-endian as on every platform PostgreSQL 15 to 18 is packaged for. */
export interface SegmentHeader {
  major: number;
  timeline: number;
  pageAddress: bigint;
  systemIdentifier: bigint;
  segmentSize: number;
}

/** What an archive accepts. */
export interface ClusterIdentity {
  systemIdentifier: bigint;
  /** Bytes of one WAL segment, fixed at initdb. */
  segmentSize: number;
}

function invalid(name: string, what: string, hint?: string): SkytoolsError {
  return new SkytoolsError('WAL_SEGMENT_INVALID', `${name} is not a valid wal segment: ${what}`, {
    hint:
      hint ?? 'the file was not archived; find out what wrote it, and compare it with the original in pg_wal',
    subject: { segment: name },
  });
}

/**
 * Reads the long page header at the beginning of a segment.
 *
 * @throws SkytoolsError WAL_SEGMENT_INVALID when these bytes cannot begin a segment of a supported version
 */
export function readSegmentHeader(bytes: Buffer, name: string): SegmentHeader {
  if (bytes.length < LONG_HEADER_BYTES) throw invalid(name, `only ${bytes.length} bytes`);
  const magic = bytes.readUInt16LE(0);
  const major = PAGE_MAGIC[magic];
  if (major === undefined) throw invalid(name, `page magic 0x${magic.toString(16)} is unknown`);
  if ((bytes.readUInt16LE(2) & FLAG_LONG_HEADER) === 0)
    throw invalid(name, 'its first page has no long header');
  const blockSize = bytes.readUInt32LE(36);
  if (blockSize !== WAL_BLOCK_SIZE) throw invalid(name, `wal block size is ${blockSize}`);
  return {
    major,
    timeline: bytes.readUInt32LE(4),
    pageAddress: bytes.readBigUInt64LE(8),
    systemIdentifier: bytes.readBigUInt64LE(24),
    segmentSize: checkSegmentSize(bytes.readUInt32LE(32)),
  };
}

/**
 * Compares a segment's first header with its name and with the cluster the archive belongs to. The timeline may be
 * lower than the name's: the first file of a new timeline begins with bytes copied from the old one.
 *
 * @throws SkytoolsError WAL_SEGMENT_INVALID, or WAL_FOREIGN_CLUSTER for a segment of another cluster
 */
export function checkSegmentHeader(
  header: SegmentHeader,
  file: Extract<WalFile, { kind: 'segment' | 'partial' }>,
  cluster: ClusterIdentity,
): void {
  if (header.systemIdentifier !== cluster.systemIdentifier) {
    throw new SkytoolsError(
      'WAL_FOREIGN_CLUSTER',
      `${file.name} belongs to cluster ${header.systemIdentifier}, the archive to ${cluster.systemIdentifier}`,
      {
        hint: 'give each cluster an archive of its own; after pg_upgrade or initdb choose a new archive location',
        subject: { segment: file.name, cluster: String(cluster.systemIdentifier) },
      },
    );
  }
  if (header.segmentSize !== cluster.segmentSize) {
    throw invalid(file.name, `segment size ${header.segmentSize} instead of ${cluster.segmentSize}`);
  }
  const expected = segmentStart(segmentNumber(file, cluster.segmentSize), cluster.segmentSize);
  if (header.pageAddress !== expected) {
    throw invalid(
      file.name,
      `its first page is for ${formatLsn(header.pageAddress)} instead of ${formatLsn(expected)}`,
      'the file is an old one that was recycled or renamed',
    );
  }
  if (header.timeline > file.timeline || header.timeline === 0) {
    throw invalid(file.name, `its first page is on timeline ${header.timeline}`);
  }
}

/** The system identifier at the beginning of `global/pg_control`. */
export function readControlIdentifier(bytes: Buffer): bigint {
  return bytes.readBigUInt64LE(0);
}

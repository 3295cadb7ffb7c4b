import { parseWalName, segmentNumber, segmentStart } from './name.ts';
import { type ClusterIdentity, PAGE_MAGIC } from './page.ts';

/**
 * A segment that no server wrote: a right first page header over the given content. For proofs that an archive takes and
 * gives back what it should.
 *
 * @param content as long as a segment of the cluster; its first page header is overwritten
 */
export function makeSegment(
  name: string,
  cluster: ClusterIdentity,
  content: Buffer,
  timeline = parseWalName(name).timeline,
): Buffer {
  const file = parseWalName(name);
  if (file.kind !== 'segment' && file.kind !== 'partial') throw new Error(`${name} is not a segment`);
  const bytes = Buffer.from(content);
  // XLogLongPageHeaderData of PostgreSQL 18, access/xlog_internal.h: magic, XLP_LONG_HEADER, timeline, address, remainder.
  const magic = Number(Object.entries(PAGE_MAGIC).find(([, major]) => major === 18)?.[0]);
  bytes.writeUInt16LE(magic, 0);
  bytes.writeUInt16LE(2, 2);
  bytes.writeUInt32LE(timeline, 4);
  bytes.writeBigUInt64LE(segmentStart(segmentNumber(file, cluster.segmentSize), cluster.segmentSize), 8);
  bytes.writeUInt32LE(0, 16);
  bytes.writeBigUInt64LE(cluster.systemIdentifier, 24);
  bytes.writeUInt32LE(cluster.segmentSize, 32);
  bytes.writeUInt32LE(8192, 36);
  return bytes;
}

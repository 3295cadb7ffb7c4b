import { randomBytes } from 'node:crypto';
import { parseWalName, segmentNumber, segmentStart } from '../../lib/walmgr/wal/name.ts';
import { PAGE_MAGIC } from '../../lib/walmgr/wal/page.ts';

/** The cluster that made-up segments belong to. */
export const MADE_UP = { systemIdentifier: 7_711_094_928_939_077_089n, segmentSize: 1 << 20, major: 18 };

/** A segment with a right header and content of its own: random, so that it compresses like bad WAL. */
export function makeSegment(
  name: string,
  options: { systemIdentifier?: bigint; segmentSize?: number; timeline?: number; seed?: number } = {},
): Buffer {
  const { systemIdentifier, segmentSize } = { ...MADE_UP, ...options };
  const file = parseWalName(name);
  if (file.kind !== 'segment' && file.kind !== 'partial') throw new Error('not a segment');
  const bytes = Buffer.alloc(segmentSize, options.seed ?? 7);
  randomBytes(1024).copy(bytes, 8192);
  const magic = Number(Object.entries(PAGE_MAGIC).find(([, major]) => major === 18)![0]);
  bytes.writeUInt16LE(magic, 0);
  bytes.writeUInt16LE(2, 2);
  bytes.writeUInt32LE(options.timeline ?? file.timeline, 4);
  bytes.writeBigUInt64LE(segmentStart(segmentNumber(file, segmentSize), segmentSize), 8);
  bytes.writeUInt32LE(0, 16);
  bytes.writeBigUInt64LE(systemIdentifier, 24);
  bytes.writeUInt32LE(segmentSize, 32);
  bytes.writeUInt32LE(8192, 36);
  return bytes;
}

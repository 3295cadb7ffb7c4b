import { randomBytes } from 'node:crypto';
import { makeSegment as makeSegmentOf } from '../../lib/walmgr/wal/made-up.ts';

/** The cluster that made-up segments belong to. */
export const MADE_UP = { systemIdentifier: 7_711_094_928_939_077_089n, segmentSize: 1 << 20, major: 18 };

/** A segment with a right header and content of its own: random, so that it compresses like bad WAL. */
export function makeSegment(
  name: string,
  options: { systemIdentifier?: bigint; segmentSize?: number; timeline?: number; seed?: number } = {},
): Buffer {
  const cluster = { ...MADE_UP, ...options };
  const content = Buffer.alloc(cluster.segmentSize, options.seed ?? 7);
  randomBytes(1024).copy(content, 8192);
  return makeSegmentOf(name, cluster, content, options.timeline);
}

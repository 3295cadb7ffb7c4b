import { expect, test } from 'vitest';
import { checkArchive } from '../../../lib/walmgr/verify.ts';
import { segmentName } from '../../../lib/walmgr/wal/name.ts';
import { LISTED_SEGMENT_BYTES, listedArchive } from '../../support/listed-archive.ts';

const name = (timeline: number, segno: number) => segmentName(timeline, BigInt(segno), LISTED_SEGMENT_BYTES);
const HISTORY = { '00000002.history': '1\t0/5800000\tbefore 2026-11-22\n' };

const gapsOf = async (...files: string[]) =>
  (await checkArchive(listedArchive(files, {}, HISTORY))).gaps.map(({ first, last }) => [first, last]);

test('a hole at a fork is a gap on the side that lacks it', async () => {
  expect(await gapsOf(name(1, 3), name(1, 4), name(2, 5), name(2, 6))).toEqual([]);
  expect(await gapsOf(name(1, 3), name(1, 4), name(2, 6))).toEqual([[name(2, 5), name(2, 5)]]);
  expect(await gapsOf(name(1, 3), name(2, 5))).toEqual([[name(1, 4), name(1, 4)]]);
});

test('an archive that was begun after a fork lacks nothing before its beginning', async () => {
  expect(await gapsOf(name(2, 9), name(2, 10))).toEqual([]);
});

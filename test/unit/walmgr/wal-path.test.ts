import { expect, test } from 'vitest';
import type { BackupRecord } from '../../../lib/walmgr/backup/record.ts';
import { walPath } from '../../../lib/walmgr/restore/wal-path.ts';
import type { TimelineHistory } from '../../../lib/walmgr/wal/history.ts';
import { parseLsn } from '../../../lib/walmgr/wal/lsn.ts';
import { segmentName } from '../../../lib/walmgr/wal/name.ts';
import { LISTED_OBJECT_BYTES, LISTED_SEGMENT_BYTES, listedArchive } from '../../support/listed-archive.ts';

const name = (timeline: number, segno: number) => segmentName(timeline, BigInt(segno), LISTED_SEGMENT_BYTES);
const gap = (timeline: number, first: number, last: number) => ({
  timeline,
  first: name(timeline, first),
  last: name(timeline, last),
  count: last - first + 1,
});

const segments = (timeline: number, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => name(timeline, from + index));
const backup = (timeline = 1) => ({ timeline, startLsn: '0/3000028' }) as BackupRecord;
const alone: TimelineHistory = { timeline: 1, ancestors: [] };
const forkAt = (lsn: string): TimelineHistory => ({
  timeline: 2,
  ancestors: [{ timeline: 1, end: parseLsn(lsn) }],
});

test('the way goes from the segment of the backup to the last byte of the archive', async () => {
  const archive = listedArchive(segments(1, 1, 300), { [name(1, 301)]: 0x1234 });
  expect(await walPath(archive, backup(), alone, undefined)).toEqual({
    from: '0/3000028',
    to: '1/2D001234',
    first: name(1, 3),
    last: name(1, 300),
    segments: 298,
    bytes: 298 * LISTED_OBJECT_BYTES,
    unfinished: name(1, 301),
    missing: [],
  });
});

test('each hole on the way is named, one that is not on it is not', async () => {
  const archive = listedArchive([
    ...segments(1, 1, 1),
    ...segments(1, 3, 5),
    ...segments(1, 8, 9),
    ...segments(1, 11, 12),
  ]);
  const whole = await walPath(archive, backup(), alone, undefined);
  expect(whole.missing).toEqual([gap(1, 6, 7), gap(1, 10, 10)]);
  expect((await walPath(archive, backup(), alone, parseLsn('0/5000100'))).missing).toEqual([]);
});

test('a position that the archive has not come to is missing from there on, and reached by the piece that has it', async () => {
  const files = segments(1, 3, 5);
  const target = parseLsn('0/7000100');
  expect((await walPath(listedArchive(files), backup(), alone, target)).missing).toEqual([gap(1, 6, 7)]);
  const near = listedArchive([...files, name(1, 6)], { [name(1, 7)]: 0x100 });
  expect((await walPath(near, backup(), alone, target)).missing).toEqual([gap(1, 7, 7)]);
  const there = await walPath(
    listedArchive([...files, name(1, 6)], { [name(1, 7)]: 0x101 }),
    backup(),
    alone,
    target,
  );
  expect(there).toMatchObject({ missing: [], to: '0/7000100', unfinished: name(1, 7) });
});

test('a fork in the middle of a segment asks the new timeline for it, and the old one for those before', async () => {
  const history = forkAt('0/5800000');
  const whole = listedArchive([...segments(1, 3, 4), ...segments(2, 5, 6)]);
  const path = await walPath(whole, backup(), history, undefined);
  expect(path).toMatchObject({ segments: 4, last: name(2, 6), to: '0/7000000', missing: [] });
  // The old timeline's file of that segment does not stand in for it: what it goes on with is another history.
  const wrong = listedArchive([...segments(1, 3, 5), ...segments(2, 6, 6)]);
  expect((await walPath(wrong, backup(), history, undefined)).missing).toEqual([gap(2, 5, 5)]);
});

test('a fork exactly on a boundary asks the old timeline for all before it, and the new one for what begins there', async () => {
  const history = forkAt('0/5000000');
  const whole = listedArchive([...segments(1, 3, 4), ...segments(2, 5, 5)]);
  expect(await walPath(whole, backup(), history, undefined)).toMatchObject({ segments: 3, missing: [] });
  const short = listedArchive([...segments(1, 3, 3), ...segments(2, 5, 5)]);
  expect((await walPath(short, backup(), history, undefined)).missing).toEqual([gap(1, 4, 4)]);
});

test('a timeline of which the archive has nothing but its history is missing', async () => {
  const archive = listedArchive(segments(1, 3, 6));
  expect((await walPath(archive, backup(), forkAt('0/5000000'), undefined)).missing).toEqual([gap(2, 5, 5)]);
});

test('a backup on the new timeline needs nothing of the old one', async () => {
  const archive = listedArchive(segments(2, 3, 4));
  const path = await walPath(archive, backup(2), forkAt('0/2000000'), undefined);
  expect(path).toMatchObject({ first: name(2, 3), segments: 2, missing: [] });
});

test('an abandoned timeline ends with the part that its successor archived', async () => {
  const archive = listedArchive([...segments(1, 3, 4), `${name(1, 5)}.partial`]);
  const path = await walPath(archive, backup(), alone, undefined);
  expect(path).toMatchObject({ unfinished: name(1, 5), to: '0/6000000', missing: [] });
});

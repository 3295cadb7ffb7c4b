import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BackupRecord } from '../../../lib/walmgr/backup/record.ts';
import { chooseKept, isNeeded } from '../../../lib/walmgr/retention.ts';
import { parseHistory } from '../../../lib/walmgr/wal/history.ts';
import { formatLsn } from '../../../lib/walmgr/wal/lsn.ts';

const SIZE = 16 << 20;
const DAY = 86_400_000;
const NOW = new Date('2026-11-22T00:00:00Z');

function backup(daysAgo: number, options: { usable?: boolean; timeline?: number; start?: bigint } = {}) {
  const start = options.start ?? 0n;
  const record = {
    name: `b${daysAgo}`,
    stoppedAt: new Date(NOW.getTime() - daysAgo * DAY).toISOString(),
    timeline: options.timeline ?? 1,
    startLsn: formatLsn(start * BigInt(SIZE)),
    stopLsn: formatLsn(start * BigInt(SIZE) + 100n),
  } as BackupRecord;
  return { record, usable: options.usable ?? true };
}

test('the newest backup from before the window is kept, or its beginning could not be reached', () => {
  const kept = chooseKept(
    [20, 12, 8, 3, 1].map((days) => backup(days)),
    { keep: 1, keepDays: 7 },
    NOW,
  );
  expect([...kept].sort()).toEqual(['b1', 'b3', 'b8']);
});

test('a minimum number is kept however old they are', () => {
  const kept = chooseKept(
    [90, 60, 30].map((days) => backup(days)),
    { keep: 2, keepDays: 0 },
    NOW,
  );
  expect([...kept].sort()).toEqual(['b30', 'b60']);
});

test('backups that cannot be used never push out ones that can', () => {
  const kept = chooseKept(
    [backup(5), backup(2, { usable: false }), backup(1, { usable: false })],
    { keep: 1, keepDays: 0 },
    NOW,
  );
  expect(kept).toContain('b5');
  expect(chooseKept([backup(1, { usable: false })], { keep: 1, keepDays: 0 }, NOW)).toContain('b1');
});

test('every moment of the window has a kept backup before it', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.record({ days: fc.integer({ min: 0, max: 60 }), usable: fc.boolean() }), {
        selector: (b) => b.days,
      }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 30 }),
      (list, keep, keepDays) => {
        const backups = list.map(({ days, usable }) => backup(days, { usable }));
        const usable = backups.filter((b) => b.usable).map((b) => b.record);
        const kept = chooseKept(backups, { keep, keepDays }, NOW);
        const keptUsable = usable.filter((record) => kept.has(record.name));
        expect(keptUsable.length).toBeGreaterThanOrEqual(Math.min(keep, usable.length));
        for (let day = 0; day <= keepDays; day++) {
          const moment = NOW.getTime() - day * DAY;
          const possible = usable.some((record) => Date.parse(record.stoppedAt) <= moment);
          const still = keptUsable.some((record) => Date.parse(record.stoppedAt) <= moment);
          expect(still).toBe(possible);
        }
      },
    ),
  );
});

test('wal that a kept backup can reach is never deleted, on any timeline', () => {
  const kept = [backup(3, { start: 10n }).record];
  const histories = [
    parseHistory(2, `1\t${formatLsn(12n * BigInt(SIZE) + 5n)}\tx\n`),
    parseHistory(3, `1\t${formatLsn(9n * BigInt(SIZE))}\tx\n`),
  ];
  const needed = (timeline: number, segno: bigint) => isNeeded({ timeline, segno }, kept, histories, SIZE);
  expect(needed(1, 9n)).toBe(false);
  expect(needed(1, 10n)).toBe(true);
  expect(needed(1, 1000n)).toBe(true);
  expect(needed(2, 12n)).toBe(true);
  // Timeline 3 left before the backup: nothing leads from it to there.
  expect(needed(3, 12n)).toBe(false);
});

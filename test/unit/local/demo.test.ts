import { expect, test } from 'vitest';
import { LagTracker } from '../../../lib/local/demo/lag.ts';
import { localManifest } from '../../../lib/local/demo/manifest.ts';

test('a transaction counts as applied with the first tick whose snapshot sees it, however late it commits', () => {
  const lag = new LagTracker();
  for (const [txid, at] of [
    [10n, 1_000],
    [12n, 1_100],
    [15n, 1_200],
  ] as const)
    lag.committed({ txid, at });
  lag.reached('11:15:12', 2_000);
  expect(lag.percentile(1)).toBe(1_000);
  lag.reached('15:15:', 3_000);
  expect(lag.percentile(1)).toBe(1_900);
  lag.reached('16:20:17,18', 3_100);
  expect([0, 0.5, 1].map((share) => lag.percentile(share))).toEqual([1_000, 1_900, 1_900]);
});

test('functions that have not been built are named, with what to do', () => {
  expect(() => localManifest('/nowhere')).toThrow(
    expect.objectContaining({ code: 'LOCAL_NOT_BUILT', hint: expect.stringContaining('npm run build') }),
  );
});

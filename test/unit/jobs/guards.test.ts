import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffSeconds, MAX_HOPS, MAX_STALLED, nextChain } from '../../../lib/jobs/guards.ts';
import type { Chain } from '../../../lib/jobs/messages.ts';

describe('a chain of messages', () => {
  it('stops after a few runs without progress, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 40 }), (runs) => {
        let chain: Chain | undefined = { hop: 0, stalled: 0 };
        for (const progressed of [...runs, ...Array.from({ length: MAX_STALLED }, () => false)]) {
          if (chain === undefined) return;
          chain = nextChain(chain, progressed);
        }
        expect(chain).toBeUndefined();
      }),
    );
  });

  it('ends even where every run makes progress, and the next tick starts a new one', () => {
    let chain: Chain | undefined;
    let hops = 0;
    do {
      chain = nextChain(chain, true);
      hops++;
    } while (chain !== undefined && hops <= MAX_HOPS);
    expect(hops).toBe(MAX_HOPS);
  });
});

describe('the back-off of a failing message', () => {
  it('grows with each receive, is never zero and never longer than a quarter of an hour', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (receives, random) => {
          const seconds = backoffSeconds(receives, () => random);
          expect(seconds).toBeGreaterThanOrEqual(1);
          expect(seconds).toBeLessThanOrEqual(900);
        },
      ),
    );
    expect(backoffSeconds(1, () => 1)).toBe(1);
    expect(backoffSeconds(5, () => 1)).toBe(16);
  });
});

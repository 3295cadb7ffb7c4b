import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KeyIndex } from '../../../lib/londiste/apply/key-index.ts';

const key = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.maxSafeInteger().map(Math.abs),
  fc.integer({ min: 0, max: 5 }).map((n) => `k${n}`),
);
const event = fc.record({ key, operation: fc.constantFrom<(0 | 1 | 2)[]>(0, 1, 2) });

it('knows of each key what its events say, in whatever order they come, and forgets those that are settled', () => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 200 }),
      fc.infiniteStream(fc.nat({ max: 1000 })),
      fc.nat({ max: 210 }),
      (events, order, upTo) => {
        const index = new KeyIndex();
        const arriving = events
          .map((one, id) => ({ ...one, id, at: order.next().value as number }))
          .sort((a, b) => a.at - b.at);
        const model = new Map<string | number, (typeof arriving)[number][]>();
        for (const one of arriving) {
          const known = index.find(one.key);
          const slot = known < 0 ? index.add(one.key) : known;
          const before = model.get(one.key) ?? [];
          expect(known >= 0).toBe(before.length > 0);
          model.set(one.key, [...before, one]);
          const last = before.every(({ id }) => id < one.id);
          expect(index.note(slot, one.id, one.operation)).toBe(last);
          if (last) index.place(slot, 0, one.id * 10);
        }
        index.forget(upTo);
        let kept = 0;
        for (const [name, all] of model) {
          const sorted = all.toSorted((a, b) => a.id - b.id);
          const [first, last] = [sorted[0]!, sorted.at(-1)!];
          const slot = index.find(name);
          if (last.id <= upTo) {
            expect(slot).toBe(-1);
            continue;
          }
          kept++;
          expect([index.ids[slot], index.firsts[slot], index.lasts[slot], index.starts[slot]]).toEqual([
            last.id,
            first.operation,
            last.operation,
            last.id * 10,
          ]);
          expect(index.inserts[slot] === 1).toBe(all.some(({ operation }) => operation === 0));
        }
        expect(index.size).toBe(kept);
      },
    ),
  );
});

it('finds a hundred thousand numbers again', () => {
  const index = new KeyIndex();
  const number = (n: number) => n * 7919 + (n % 3) * 2 ** 40;
  for (let n = 0; n < 100_000; n++) index.add(number(n));
  for (let n = 0; n < 100_000; n += 997) expect(index.find(number(n))).toBe(n);
  expect(index.find(number(100_000))).toBe(-1);
});

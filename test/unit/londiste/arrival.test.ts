import { describe, expect, it } from 'vitest';
import { Arrival } from '../../../lib/londiste/apply/arrival.ts';

const KIB = 1024;

describe('up to where the events of a batch are settled', () => {
  it('is the last one while each comes behind the others', () => {
    const arrival = new Arrival();
    for (const id of [3, 4, 4, 9]) arrival.note(id, KIB);
    expect(arrival.settled).toBe(9);
  });

  it('is below all that came in the last two megabytes once they are mixed', () => {
    const arrival = new Arrival();
    for (let id = 1; id <= 10_000; id++) arrival.note(id % 2 === 0 ? id - 1 : id + 1, KIB);
    expect(arrival.settled).toBeLessThan(10_000 - 1_800);
    expect(arrival.settled).toBeGreaterThan(10_000 - 2_100);
  });

  it('is not moved by one that came far ahead of its place', () => {
    const arrival = new Arrival();
    arrival.note(1_000_000, KIB);
    for (let id = 1; id <= 10_000; id++) arrival.note(id, KIB);
    expect(arrival.settled).toBeLessThan(10_000 - 1_800);
  });
});

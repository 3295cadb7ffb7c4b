import { describe, expect, it } from 'vitest';
import { leaveAloneSeconds, spreadTicks } from '../../../lib/jobs/tick-plan.ts';

const policy = { intervalSeconds: 5, idleAfterSeconds: 600, idleMaximumSeconds: 900 };
const work = { jobs: [{ v: 1, kind: 'maintain', database: 'app' } as const], idleSeconds: 0 };
const quiet = (idleSeconds: number | undefined) => ({ jobs: [], idleSeconds });

describe('the ticks of a minute', () => {
  it('are spread evenly over the rest of it while there is work', () => {
    const delays = spreadTicks('app', policy, work).map(({ delaySeconds }) => delaySeconds);
    expect(delays).toEqual([5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]);
  });

  it('do not ask for a further round themselves, so that a doubled sweep cannot multiply', () => {
    for (const { job } of spreadTicks('app', policy, work)) expect(job).not.toHaveProperty('spread');
  });

  it('are left out where nothing happened for a minute', () => {
    expect(spreadTicks('app', policy, quiet(60))).toEqual([]);
    expect(spreadTicks('app', policy, quiet(undefined))).toEqual([]);
    expect(spreadTicks('app', policy, quiet(59))).not.toEqual([]);
  });

  it('every second make 59 messages, once a minute makes none', () => {
    expect(spreadTicks('app', { ...policy, intervalSeconds: 1 }, work)).toHaveLength(59);
    expect(spreadTicks('app', { ...policy, intervalSeconds: 60 }, work)).toEqual([]);
  });
});

describe('an idle database', () => {
  it('is left alone longer and longer, up to its maximum', () => {
    expect(leaveAloneSeconds(policy, quiet(599))).toBe(0);
    expect(leaveAloneSeconds(policy, quiet(600))).toBe(60);
    expect(leaveAloneSeconds(policy, quiet(840))).toBe(240);
    expect(leaveAloneSeconds(policy, quiet(100_000))).toBe(900);
    expect(leaveAloneSeconds(policy, quiet(undefined))).toBe(900);
  });

  it('is never left alone where that is switched off, or work is due', () => {
    expect(leaveAloneSeconds({ ...policy, idleMaximumSeconds: 0 }, quiet(100_000))).toBe(0);
    expect(leaveAloneSeconds(policy, { ...work, idleSeconds: 100_000 })).toBe(0);
  });
});

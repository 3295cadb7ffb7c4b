import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../lib/local/emulator/faults.ts';
import { busyShare, simulateDeployment, type Workload } from '../../../lib/local/simulation/deployment.ts';
import { DURATIONS, ROUND_TRIP } from '../../../lib/local/simulation/durations.ts';
import { Station, Timeline } from '../../../lib/local/simulation/engine.ts';
import { LIMITS, PRICES, SECONDS_PER_MONTH } from '../../../lib/local/simulation/prices.ts';

/** Mean wait of Poisson arrivals at a station, simulated. */
function meanWait(servers: number, arrivals: number, service: (random: () => number) => number): number {
  const random = seededRandom(7);
  const timeline = new Timeline();
  const station = new Station(timeline, servers);
  const arrive = () => {
    station.submit(service(random));
    timeline.after(-Math.log(1 - random()) / arrivals, arrive);
  };
  arrive();
  timeline.runUntil(200_000);
  return station.waitedSeconds / station.begun;
}

const exponential = (random: () => number) => -Math.log(1 - random());

/** Erlang's formula for the mean wait in M/M/c with a mean service time of 1. */
function erlang(servers: number, load: number): number {
  let blocked = 1;
  for (let n = 1; n <= servers; n++) blocked = (load * blocked) / (n + load * blocked);
  const waits = blocked / (1 - (load / servers) * (1 - blocked));
  return waits / (servers - load);
}

describe('the engine agrees with queueing theory', () => {
  it.each([0.3, 0.7])('M/D/1 at load %s: Pollaczek and Khinchine', (load) => {
    const expected = load / (2 * (1 - load));
    expect(Math.abs(meanWait(1, load, () => 1) / expected - 1)).toBeLessThan(0.05);
  });
  it.each([
    [1, 0.6],
    [4, 3],
    [10, 8],
  ])('M/M/%s at load %s: Erlang C', (servers, load) => {
    expect(Math.abs(meanWait(servers, load, exponential) / erlang(servers, load) - 1)).toBeLessThan(0.06);
  });
  it('what happens at the same moment happens in the order of its planning', () => {
    const timeline = new Timeline();
    const seen: number[] = [];
    for (const n of [3, 1, 2]) timeline.after(5, () => seen.push(n));
    timeline.after(1, () => seen.push(0));
    timeline.runUntil(5);
    expect(seen).toEqual([0]);
    timeline.runUntil(6);
    expect(seen).toEqual([0, 3, 1, 2]);
  });
});

const workload = (changes: Partial<Workload> = {}): Workload => ({
  databases: 1,
  queues: 10,
  consumersPerQueue: 1,
  eventsPerSecond: 0,
  tickSeconds: 5,
  copyBytes: 0,
  ...changes,
});
const near = (value: number, expected: number, tolerance = 0.02) =>
  expect(Math.abs(value / expected - 1), `${value} is not near ${expected}`).toBeLessThan(tolerance);

describe('the simulated deployment agrees with arithmetic where there is any', () => {
  it('without events only sweeps and ticks are paid', () => {
    const result = simulateDeployment(workload({ databases: 3 }));
    near(result.invocationsPerMonth, SECONDS_PER_MONTH / 60 + (3 * SECONDS_PER_MONTH) / 5);
    expect(result.latencySeconds).toBeUndefined();
    expect(result.overloaded).toBe(false);
  });

  it('one event now and then wakes as many batches as the Poisson law says', () => {
    const result = simulateDeployment(workload({ queues: 1000, eventsPerSecond: 100 }));
    const batches = (1000 / 5) * busyShare(0.5) * SECONDS_PER_MONTH;
    const ticks = SECONDS_PER_MONTH / 5 + SECONDS_PER_MONTH / 60;
    near(result.invocationsPerMonth, batches + ticks);
  });

  it('with busy queues each tick wakes each consumer, and the mean concurrency is rate times duration (Little)', () => {
    const result = simulateDeployment(
      workload({ queues: 20, consumersPerQueue: 2, eventsPerSecond: 20_000 }),
    );
    const batch =
      DURATIONS.consume + 5000 * DURATIONS.consumePerEvent + DURATIONS.consumeRoundTrips * ROUND_TRIP;
    const tick = DURATIONS.tick + 20 * DURATIONS.tickPerQueue + DURATIONS.tickRoundTrips * ROUND_TRIP;
    near(result.concurrency.mean, (40 * batch + tick) / 5);
    expect(result.latencySeconds!.p50).toBeGreaterThan(2.5);
    expect(result.latencySeconds!.p99).toBeLessThan(5 + 3 * batch);
  });

  it('more than the functions may do at once is told, with the limit that came first', () => {
    const result = simulateDeployment(
      workload({ databases: 100, queues: 100_000, eventsPerSecond: 1e6, tickSeconds: 1 }),
    );
    expect(result.overloaded).toBe(true);
    expect(result.limits[0]!.share).toBeGreaterThan(0.9);
  });

  it('a consumer calls for its own next run as long as a batch outlasts the next tick', () => {
    const chain = (eventsPerSecond: number) =>
      simulateDeployment(workload({ queues: 1, eventsPerSecond })).limits.find(({ limit }) =>
        limit.startsWith('recursion'),
      )!;
    // The tick that sends the ticks of its minute is followed by one of them, and no more.
    expect(chain(100).use).toBe(2);
    // Every batch takes longer than the time between two ticks: the chain goes on for as long as is simulated.
    const outlasting = 1.1 / DURATIONS.consumePerEvent;
    expect(chain(outlasting).use).toBeGreaterThan(LIMITS.recursionHops);
    expect(chain(outlasting).share).toBeLessThan(1);
  });

  it('a copy costs its seconds, shared among the copiers', () => {
    const result = simulateDeployment(workload({ copyBytes: 1e12 }));
    near(result.copyHours, 1e12 / 40e6 / 8 / 3600);
    near(result.copyDollars, (1e12 / 40e6) * 0.5 * PRICES.lambdaArmGbSecond);
  });
});

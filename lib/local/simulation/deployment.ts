import { functions } from '../../../infra/functions.ts';
import { MAX_HOPS } from '../../jobs/guards.ts';
import { seededRandom } from '../emulator/faults.ts';
import { COPY_BYTES_PER_SECOND, DURATIONS, ROUND_TRIP } from './durations.ts';
import { Station, Timeline } from './engine.ts';
import {
  IDLE_POLLS_PER_SECOND,
  LIMITS,
  LOG_BYTES,
  PRICES,
  REQUESTS_PER_MESSAGE,
  SECONDS_PER_MONTH,
} from './prices.ts';

/** What is asked of a deployment. */
export interface Workload {
  databases: number;
  /** In all databases together, shared evenly. */
  queues: number;
  consumersPerQueue: number;
  /** Events a second in all queues together, committed at random moments. */
  eventsPerSecond: number;
  tickSeconds: number;
  /** Of tables to be copied once. */
  copyBytes: number;
}

export interface Forecast {
  workload: Workload;
  /** From a commit to the end of its batch; undefined without events. */
  latencySeconds: { p50: number; p99: number } | undefined;
  /** True if work arrives faster than it is done: the latency is that of the simulated minutes, and grows. */
  overloaded: boolean;
  invocationsPerMonth: number;
  /** Invocations at the same time. */
  concurrency: { mean: number; peak: number };
  /** To the busiest database, as peak: concurrent ticks and batches, and both ends of copies. */
  connectionsPeak: number;
  copyHours: number;
  dollarsPerMonth: { lambda: number; sqs: number; logs: number; total: number };
  copyDollars: number;
  /** How near each limit is, the nearest first; 1 is reached. */
  limits: { limit: string; use: number; allowed: number; share: number; remedy: string }[];
}

/** Simulated time, in seconds, of which latencies of the first sixth are not counted. */
const SIMULATED = 360;

/** Batches that are simulated at most: a larger workload is simulated for a shorter time, but for three ticks at least. */
const MOST_BATCHES = 400_000;

const spec = (name: string) => functions.find((each) => each.name === name)!;
const gigabytes = (name: string) => spec(name).memoryMb / 1024;

/** Invocations of a function at the same time, by its event source mapping. */
function bound(name: string): number {
  const [bounded] = spec(name).triggers.flatMap((each) =>
    'maximumConcurrency' in each ? [each.maximumConcurrency] : [],
  );
  return bounded ?? LIMITS.accountConcurrency;
}

/**
 * Simulates the flow of wake-ups: the sweep each minute, its ticks and their delayed followers, the batches that each tick
 * finds, and the functions with their limits. Busy databases are assumed: nothing is left out for idleness.
 */
export function simulateDeployment(workload: Workload, seed = 1): Forecast {
  const { databases, queues, consumersPerQueue, eventsPerSecond, tickSeconds } = workload;
  const random = seededRandom(seed);
  const timeline = new Timeline();
  const ticks = new Station(timeline, bound('tick'));
  const batches = new Station(timeline, bound('consume'));
  const latencies: number[] = [];
  const consumers = new ConsumerChains();

  const queuesPerDatabase = Math.ceil(queues / databases);
  const eventsPerBatch = queues === 0 ? 0 : (eventsPerSecond / queues) * tickSeconds;
  const mostBatchesPerSecond = (queues * consumersPerQueue * busyShare(eventsPerBatch)) / tickSeconds;
  const affordable = Math.min(SIMULATED, MOST_BATCHES / Math.max(mostBatchesPerSecond, 1));
  const simulated = Math.max(3, Math.round(affordable / tickSeconds)) * tickSeconds;

  const tickSecondsOfWork =
    DURATIONS.tick + queuesPerDatabase * DURATIONS.tickPerQueue + DURATIONS.tickRoundTrips * ROUND_TRIP;
  const tickDatabase = (index: number) => {
    const first = Math.floor((index * queues) / databases);
    const mine = Math.floor(((index + 1) * queues) / databases) - first;
    ticks.submit(tickSecondsOfWork, () => {
      for (let queue = 0; queue < mine; queue++) {
        const events = poisson(eventsPerBatch, random);
        if (events === 0) continue;
        for (let consumer = 0; consumer < consumersPerQueue; consumer++) {
          const ticked = timeline.now;
          const consumerOfAll = (first + queue) * consumersPerQueue + consumer;
          timeline.after(DURATIONS.delivery, () =>
            batches.submit(
              DURATIONS.consume +
                events * DURATIONS.consumePerEvent +
                DURATIONS.consumeRoundTrips * ROUND_TRIP,
              () => {
                consumers.ended(consumerOfAll, ticked, timeline.now);
                // The events of a batch came at any moment since the tick before: one of them stands for all.
                if (ticked >= simulated / 6) latencies.push(random() * tickSeconds + timeline.now - ticked);
              },
            ),
          );
        }
      }
    });
  };
  for (let minute = 0; minute < simulated; minute += LIMITS.scheduleSeconds) {
    for (let index = 0; index < databases; index++) {
      const sent = minute + (index / 1000) * DURATIONS.sweepPerThousandDatabases;
      for (let tick = 0; tick * tickSeconds < LIMITS.scheduleSeconds; tick++)
        timeline.after(sent + DURATIONS.delivery + tick * tickSeconds, () => tickDatabase(index));
    }
  }
  timeline.runUntil(simulated);

  return forecast(workload, {
    simulated,
    ticks,
    batches,
    latencies: latencies.sort((a, b) => a - b),
    queuesPerDatabase,
    hops: Math.max(TICK_HOPS, consumers.longest),
  });
}

/** The sweep's tick sends the delayed ticks of the rest of its minute, and they none. */
const TICK_HOPS = 2;

/** How often consumers call for their own next run: as long as a batch outlasts the next tick. */
class ConsumerChains {
  readonly #last = new Map<number, { endedAt: number; hops: number }>();
  longest = 0;

  /** A batch that was ticked at one moment has ended at another. */
  ended(consumer: number, tickedAt: number, now: number): void {
    const last = this.#last.get(consumer);
    const hops = last !== undefined && tickedAt < last.endedAt ? last.hops + 1 : 1;
    this.#last.set(consumer, { endedAt: now, hops });
    this.longest = Math.max(this.longest, hops);
  }
}

interface Simulated {
  simulated: number;
  ticks: Station;
  batches: Station;
  latencies: readonly number[];
  queuesPerDatabase: number;
  /** Runs of one function in the longest chain of messages. */
  hops: number;
}

function forecast(
  workload: Workload,
  { simulated, ticks, batches, latencies, queuesPerDatabase, hops }: Simulated,
): Forecast {
  const { databases, copyBytes } = workload;
  const perMonth = (count: number) => (count / simulated) * SECONDS_PER_MONTH;
  const sweeps = SECONDS_PER_MONTH / LIMITS.scheduleSeconds;
  const sweepSeconds = Math.max(0.05, (databases / 1000) * DURATIONS.sweepPerThousandDatabases);
  const invocations = sweeps + perMonth(ticks.begun) + perMonth(batches.begun);
  const lambda =
    invocations * PRICES.lambdaRequest +
    PRICES.lambdaArmGbSecond *
      (sweeps * sweepSeconds * gigabytes('sweep') +
        perMonth(ticks.busySeconds) * gigabytes('tick') +
        perMonth(batches.busySeconds) * gigabytes('consume'));
  const mappings = functions.flatMap(({ triggers }) => triggers).filter((each) => 'queue' in each).length;
  const sqs =
    PRICES.sqsRequest *
    ((perMonth(ticks.begun) + perMonth(batches.begun)) * REQUESTS_PER_MESSAGE +
      mappings * IDLE_POLLS_PER_SECOND * SECONDS_PER_MONTH);
  const logs = ((invocations * LOG_BYTES) / 1e9) * PRICES.logsGb;

  const copiers = copyBytes > 0 ? bound('copy') : 0;
  const copySeconds = copyBytes / COPY_BYTES_PER_SECOND;
  const peak = ticks.busyPeak + batches.busyPeak + copiers;
  // One invocation of a database's tick at a time; its batches may take every place there is.
  const batchesOfOne = Math.min(batches.busyPeak, queuesPerDatabase * workload.consumersPerQueue);
  const connectionsPeak = Math.min(1, ticks.busyPeak) + batchesOfOne + 2 * copiers;
  const meanBatches = batches.busySeconds / simulated;
  const meanTicks = ticks.busySeconds / simulated;

  const limits = [
    {
      limit: 'connections to one database',
      use: connectionsPeak,
      allowed: LIMITS.connectionsPerDatabase,
      remedy: 'lower maximumConcurrency, raise max_connections, or put PgBouncer in between',
    },
    {
      limit: 'concurrency of tick',
      use: meanTicks,
      allowed: bound('tick'),
      remedy: 'raise maximumConcurrency of tick, or tick less often',
    },
    {
      limit: 'concurrency of consume',
      use: meanBatches,
      allowed: bound('consume'),
      remedy: 'raise maximumConcurrency of consume, or tick less often for larger batches',
    },
    {
      limit: 'concurrency of the account',
      use: peak,
      allowed: LIMITS.accountConcurrency,
      remedy: 'ask AWS for more, or bound functions lower',
    },
    {
      limit: 'schedule granularity (ticks of one sweep)',
      use: sweepSeconds + DURATIONS.delivery,
      allowed: spec('sweep').timeoutSeconds,
      remedy: 'split the databases over two deployments',
    },
    {
      limit: `recursion (runs of one function in a chain; Lambda stops ${LIMITS.recursionHops} unless told not to)`,
      use: hops,
      allowed: MAX_HOPS,
      remedy: 'none needed: recursion is declared, and the next tick begins a new chain',
    },
  ]
    .map((each) => ({ ...each, share: each.use / each.allowed }))
    .sort((a, b) => b.share - a.share);

  return {
    workload,
    latencySeconds:
      latencies.length === 0 ? undefined : { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) },
    overloaded: ticks.queued > databases || batches.queued > batches.begun / 10,
    invocationsPerMonth: Math.round(invocations),
    concurrency: { mean: meanTicks + meanBatches, peak },
    connectionsPeak,
    copyHours: copiers === 0 ? 0 : copySeconds / copiers / 3600,
    dollarsPerMonth: { lambda, sqs, logs, total: lambda + sqs + logs },
    copyDollars: copySeconds * gigabytes('copy') * PRICES.lambdaArmGbSecond,
    limits,
  };
}

/** The share of ticks that find events, if so many come between two on average. */
export const busyShare = (mean: number): number => 1 - Math.exp(-mean);

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;

/** Above this mean the normal distribution is as good, and quicker. */
const LARGE_MEAN = 30;

function poisson(mean: number, random: () => number): number {
  if (mean > LARGE_MEAN) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal));
  }
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random(); product > limit; product *= random()) count++;
  return count;
}

import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { configureQueue, createQueue, type QueueSettings, registerConsumer } from '../../pgq/queues.ts';
import { addTrigger } from '../../pgq/triggers.ts';
import { SkytoolsError } from '../../platform/errors.ts';
import { seededRandom } from '../emulator/faults.ts';
import type { Runner, RunnerCounts } from '../runner/runner.ts';
import { type ChangeCounts, ChangeGenerator } from './changes.ts';
import { compareTable, isIdentical, type TableComparison } from './compare.ts';
import { CopyKiller } from './copy-killer.ts';
import { ConnectionCutter } from './disturb.ts';
import type { LoggedBatch } from './function-log.ts';
import { LagTracker } from './lag.ts';
import { loadTable } from './load.ts';
import { deadLetters } from './manifest.ts';
import { type Observation, observe, unfinishedEvents } from './observe.ts';
import { ReplicatedSet, SET, type SetState, WORKER } from './replicated-set.ts';
import { createTables } from './schema.ts';
import { type Stack, type StackOptions, startStack } from './stack.ts';
import { tellStory } from './story.ts';
import { DEMO_TABLES, QUEUE_TABLES, SET_TABLES } from './tables.ts';

/** As in skytools.config.ts. */
const QUEUE = 'weather';
const CONSUMER = 'replicate_weather';

/** What the functions have to empty before the end. */
const READERS = [
  { queue: SET, consumer: WORKER },
  { queue: QUEUE, consumer: CONSUMER },
] as const;

const QUEUE_SETTINGS: QueueSettings = {
  // A tick is taken each second by the message plan; half of it leaves no tick out because it came a little early.
  tickerMaxLagSeconds: 0.5,
  // So short that a run of half a minute rotates the event tables while they are read.
  rotationPeriodSeconds: 10,
};

/** Between two looks at the queues, in milliseconds: the error of the lag, at most. */
const LOOK_EVERY_MS = 100;
/** Between two looks at the nodes and tables of the set, in looks at the queues. */
const LOOK_AT_SET_EVERY = 4;

/**
 * How long the functions may take for what is left after the last change, in milliseconds: a lost sweep costs one minute,
 * and under chaos several in a row may be lost.
 */
const DRAIN_MS = 90_000;
const DRAIN_CHAOS_MS = 180_000;

export interface DemoOptions extends Pick<StackOptions, 'functions' | 'version' | 'keep'> {
  /** Row changes a second. */
  rate: number;
  /** How long rows change, in milliseconds; undefined: until the signal. */
  forMs?: number | undefined;
  /** Ends the changes; what was done is still consumed and compared. */
  signal: AbortSignal;
  seed: number;
  chaos: boolean;
}

/** How often each kind of fault was injected. */
export type ChaosCounts = Readonly<Record<string, number>>;

/** What the live view shows. */
export interface DemoState extends Observation {
  phase: 'loading' | 'changing' | 'draining';
  elapsedMs: number;
  /** Of the replicated set, as are the events, ticks and lags. */
  queue: string;
  consumer: string;
  /** Over the last two seconds. */
  changesPerSecond: number;
  set: SetState;
  /** The queue beside it, and its consumer. */
  plain: { queue: string; consumer: string } & Observation;
  lagP50Ms: number | undefined;
  lagP99Ms: number | undefined;
  lastBatch: LoggedBatch | undefined;
  changes: ChangeCounts;
  functions: RunnerCounts['functions'];
  queues: RunnerCounts['queues'];
  deadLetters: number;
  /** Faults injected so far, by kind; undefined without chaos. */
  chaos: ChaosCounts | undefined;
  problems: Readonly<Record<string, number>>;
  lastProblem: string | undefined;
}

export interface DemoResult {
  identical: boolean;
  tables: TableComparison[];
  rows: number;
  seed: number;
  state: DemoState;
}

/** Hears how the demonstration goes on. */
export interface DemoListener {
  stage(text: string): void;
  loading(table: string, loaded: number, total: number): void;
  /** Something that the operator did or noticed. */
  told(text: string): void;
  /** Called about ten times a second once tables are being loaded. */
  state(state: DemoState): void;
}

/**
 * Runs the demonstration: loads a data set, changes its rows, lets the built functions carry everything from one database
 * to the other, and compares both. Stops everything it started, however it ends.
 *
 * @throws SkytoolsError LOCAL_NOT_BUILT, LOCAL_NOT_CONSUMED
 */
export async function runDemo(options: DemoOptions, listener: DemoListener): Promise<DemoResult> {
  listener.stage('starting postgresql with the databases source and target, s3 and sqs');
  const stack = await startStack({ ...options, chaosSeed: options.chaos ? options.seed : undefined });
  try {
    return await new Demo(stack, options, listener).run();
  } finally {
    await stack.close();
  }
}

class Demo {
  readonly #stack: Stack;
  readonly #options: DemoOptions;
  readonly #listener: DemoListener;
  readonly #lag = new LagTracker();
  readonly #changes: ChangeGenerator;
  readonly #failed = new AbortController();
  readonly #startedAt = performance.now();
  readonly #rates: { at: number; changes: number }[] = [];
  /** Aborted when the rows do not change any more. */
  readonly #calm = new AbortController();
  #looks = 0;
  #set: SetState = { nodes: [], tables: [] };
  #watched: ReplicatedSet | undefined;
  #phase: DemoState['phase'] = 'loading';
  #runner: Runner | undefined;
  #cutter: ConnectionCutter | undefined;
  #killer: CopyKiller | undefined;

  constructor(stack: Stack, options: DemoOptions, listener: DemoListener) {
    this.#stack = stack;
    this.#options = options;
    this.#listener = listener;
    this.#changes = new ChangeGenerator(stack.sourceUrl, {
      rate: options.rate,
      seed: options.seed,
      onCommit: (transaction) => this.#lag.committed(transaction),
    });
  }

  async run(): Promise<DemoResult> {
    const [source, target, watcher] = await Promise.all([
      this.#stack.connect(this.#stack.sourceUrl),
      this.#stack.connect(this.#stack.targetUrl),
      this.#stack.connect(this.#stack.sourceUrl),
    ]);
    const set = new ReplicatedSet(await this.#stack.nodes());
    await this.#prepare(source, target, set);
    this.#listener.stage(`  source: ${this.#stack.sourceUrl}\n  target: ${this.#stack.targetUrl}`);
    const watching = new AbortController();
    const watched = this.#watch(watcher, watching.signal).catch((error) => this.#failed.abort(error));
    try {
      await this.#load(source);
      const story = tellStory({
        set,
        tables: SET_TABLES,
        forMs: this.#options.forMs,
        hurry: this.#calm.signal,
        failed: this.#failed.signal,
        tell: (text) => this.#listener.told(text),
      }).catch((error) => this.#failed.abort(error));
      await this.#change();
      await story;
      await this.#drain(source, set);
    } finally {
      watching.abort();
      await this.#changes.stop();
      await watched;
      this.#cutter?.stop();
      await this.#killer?.stop();
    }
    const state = await this.#state(source);
    await this.#runner!.close();
    this.#listener.stage('comparing both databases row by row');
    const tables: TableComparison[] = [];
    for (const table of DEMO_TABLES) tables.push(await compareTable(source, target, table));
    return {
      identical: tables.every(isIdentical),
      tables,
      rows: tables.reduce((sum, { same }) => sum + same, 0),
      seed: this.#options.seed,
      state,
    };
  }

  async #prepare(source: pg.Client, target: pg.Client, set: ReplicatedSet): Promise<void> {
    await createTables(source, DEMO_TABLES);
    await createTables(target, QUEUE_TABLES);
    await createQueue(source, QUEUE);
    await registerConsumer(source, QUEUE, CONSUMER);
    for (const { name, capture } of QUEUE_TABLES)
      if ('queue' in capture) await addTrigger(source, { table: name, queue: QUEUE, ...capture.queue });
    await set.create();
    for (const { queue } of READERS) await configureQueue(source, queue, QUEUE_SETTINGS);
    this.#watched = new ReplicatedSet(await this.#stack.nodes());
    this.#runner = await this.#stack.startFunctions();
    if (this.#options.chaos) {
      const random = seededRandom(this.#options.seed);
      this.#cutter = new ConnectionCutter(await this.#stack.connect(this.#stack.postgres.url()), random);
      this.#cutter.start();
      const killing = await this.#stack.connect(this.#stack.targetUrl);
      this.#killer = new CopyKiller(killing, this.#runner, random);
      this.#killer.start((error) => this.#failed.abort(error));
    }
    // The schedule's first minute would pass without a tick.
    void this.#runner.fire('sweep');
  }

  async #load(source: pg.Client): Promise<void> {
    this.#listener.stage('loading the data set');
    for (const table of DEMO_TABLES) {
      const progress = (loaded: number, total: number) => this.#listener.loading(table.name, loaded, total);
      await loadTable(source, table, progress, this.#ended());
      await this.#changes.include(source, table);
    }
    this.#failed.signal.throwIfAborted();
  }

  async #change(): Promise<void> {
    this.#phase = 'changing';
    this.#listener.stage(`changing ${this.#options.rate} rows a second (seed ${this.#options.seed})`);
    this.#changes.start((error) => this.#failed.abort(error));
    const { forMs } = this.#options;
    await new Promise<void>((resolve) => {
      const signal = this.#ended();
      const timer = forMs === undefined ? undefined : setTimeout(resolve, forMs);
      const stop = () => {
        clearTimeout(timer);
        resolve();
      };
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
    await this.#changes.stop();
    this.#calm.abort();
    this.#phase = 'draining';
    this.#listener.stage('waiting until everything is applied');
    this.#failed.signal.throwIfAborted();
  }

  async #drain(source: pg.Client, set: ReplicatedSet): Promise<void> {
    this.#failed.signal.throwIfAborted();
    const patience = this.#options.chaos ? DRAIN_CHAOS_MS : DRAIN_MS;
    const end = performance.now() + patience;
    for (;;) {
      const events = await Promise.all(
        READERS.map(({ queue, consumer }) => unfinishedEvents(source, queue, consumer)),
      );
      const left = events.reduce((sum, count) => sum + count, 0);
      const copying = (await set.state()).tables
        .filter(({ state }) => state !== 'ok')
        .map(({ table }) => table);
      if (left === 0 && copying.length === 0) return;
      this.#failed.signal.throwIfAborted();
      if (performance.now() > end) {
        const { lastProblem } = this.#stack.log;
        throw new SkytoolsError(
          'LOCAL_NOT_CONSUMED',
          `${left} events are not applied ${patience / 1000} s after the last change${copying.length > 0 ? `, not in sync: ${copying.join(', ')}` : ''}`,
          {
            subject: { queue: SET },
            hint: `last problem of a function: ${lastProblem ?? 'none'}; --keep DIR keeps their logs`,
          },
        );
      }
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** Aborted by the user, or because something failed. */
  #ended(): AbortSignal {
    return AbortSignal.any([this.#options.signal, this.#failed.signal]);
  }

  async #watch(client: pg.Client, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#listener.state(await this.#state(client));
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #state(client: pg.Client): Promise<DemoState> {
    const seen = await observe(client, SET, WORKER);
    const plain = await observe(client, QUEUE, CONSUMER);
    if (this.#looks++ % LOOK_AT_SET_EVERY === 0) this.#set = await this.#watched!.state();
    this.#lag.reached(seen.snapshot, seen.finishedAt);
    const { functions, queues, chaos } = this.#runner!.counts();
    const changes = this.#changes.counts();
    const { emulator, log } = this.#stack;
    return {
      ...seen,
      phase: this.#phase,
      elapsedMs: performance.now() - this.#startedAt,
      changesPerSecond: this.#rate(changes.changes),
      queue: SET,
      consumer: WORKER,
      set: this.#set,
      plain: { queue: QUEUE, consumer: CONSUMER, ...plain },
      lagP50Ms: this.#lag.percentile(0.5),
      lagP99Ms: this.#lag.percentile(0.99),
      lastBatch: log.lastBatch,
      changes,
      functions,
      queues,
      deadLetters: await deadLetters(emulator.sqs),
      chaos: this.#cutter && this.#chaosCounts(chaos, this.#cutter),
      problems: log.problems(),
      lastProblem: log.lastProblem,
    };
  }

  /** What the runner, the emulator and the cutter have done, together. */
  #chaosCounts(runner: RunnerCounts['chaos'], cutter: ConnectionCutter): ChaosCounts {
    const { sqs, faults } = this.#stack.emulator;
    const { lost, duplicated, delayed } = sqs.counts();
    return {
      handlersKilled: runner.killed,
      messagesLost: runner.dropped + lost,
      messagesRepeated: runner.duplicated + duplicated,
      messagesDelayed: runner.delayed + delayed,
      schedulesMissed: runner.scheduleMissed,
      schedulesRepeated: runner.scheduleRepeated,
      requestsFailed: Object.values(faults.counts()).reduce((sum, count) => sum + count, 0),
      connectionsCut: cutter.count,
      ...Object.fromEntries(
        Object.entries(this.#killer?.counts() ?? {}).map(([state, count]) => [
          `copy killed in ${state}`,
          count,
        ]),
      ),
    };
  }

  #rate(changes: number): number {
    const now = performance.now();
    this.#rates.push({ at: now, changes });
    while (this.#rates.length > 2 && this.#rates[0]!.at < now - 2_000) this.#rates.shift();
    const first = this.#rates[0]!;
    return now > first.at ? ((changes - first.changes) * 1000) / (now - first.at) : 0;
  }
}

import type pg from 'pg';
import type { UnitResult } from '../../pgq/types.ts';
import { BusyError, DeadlineError, errorMessage, SkytoolsError } from '../../platform/errors.ts';
import { hasSqlState } from '../../postgres/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import type { MissingCounts } from '../apply/apply.ts';
import type { TableHook } from '../apply/event-type.ts';
import { APPLY_SETTINGS, applyBatch } from '../apply/run.ts';
import { restoreForeignKeys } from '../copy/structure.ts';
import { copiesAtNode } from '../copy/waiting.ts';
import { hold, type NodeState, nodeState } from '../node-state.ts';
import { atLocation, type NodeScope } from '../place.ts';
import { type NodeSettings, nodeSettings } from '../settings.ts';
import { isNext, nextBatch, type SourceBatch } from '../source-batch.ts';
import { holdsRows, hookOf, type RealTable, realTables, subscriptions } from '../tables.ts';
import { followsCombined, forwarding, makeTick, noteMergedTick } from './branch.ts';
import { countMissing, forgetSnapshots, noteFaults, setAside } from './health.ts';
import { holdFaultyTable } from './hold.ts';
import { completeBatch, doneEvent, storeDoneEvent } from './progress.ts';
import { obey } from './system-events.ts';
import { WholeBatch } from './too-long.ts';
import { GLOBAL_WATERMARK, synchronised, tellWatermark } from './watermark.ts';

/** A batch, or a part of it, as it was committed on the node. */
export interface ReplayedBatch {
  node: string;
  batch: bigint;
  /** The tick at its end. */
  tick: bigint;
  /** Events brought here. */
  events: number;
  /** False where the rest of a large batch comes in the next run. */
  finished: boolean;
  /** True where it was found applied, and only its end was told to the provider. */
  skipped: boolean;
  /** Updates and deletes that found no row. */
  missingRows: number;
}

export interface ReplayResult extends UnitResult<ReplayedBatch | undefined> {
  /** Tables whose copy had to wait for this batch. */
  copies: string[];
}

const IDLE: ReplayResult = { did: undefined, next: 'idle', copies: [] };

/**
 * Events a second that a subscriber applies at least, and so what one part of a leaf's batch may hold for the time left. Half
 * of it: the first attempt, which takes the events as they stand, may be in vain.
 */
const SLOWEST_APPLY = 2_000 / 2;
/** A part with more does not get faster, it only makes the transaction longer. */
const LARGEST_PART = 400_000;

/**
 * One batch of a node: acknowledges a pause or a new provider, reads the provider's next batch, and commits rows, forwarded
 * events and the node's position in one transaction, under the lock of that position. A branch then makes the batch's tick
 * by itself, and the provider is told last; what a crash leaves out there, the next run repairs.
 *
 * @throws BusyError, DeadlineError; SkytoolsError LONDISTE_… with the error stored on the node
 */
export async function replayBatch(scope: NodeScope, database: string, queue: string): Promise<ReplayResult> {
  scope.deadline.check(`replay of ${queue}`);
  return scope.database(database, async (target) => {
    const state = await acknowledge(target, queue, scope);
    if (state.node_type === 'root' || state.paused) return IDLE;
    try {
      return await atLocation(scope, state.provider_location, (provider) =>
        new Replay(scope, target, provider, queue, state, nodeSettings(scope.config, database, queue)).run(),
      );
    } catch (error) {
      if (!(error instanceof BusyError || error instanceof DeadlineError))
        await storeError(target, queue, state.worker_name, error);
      throw error;
    }
  });
}

/** Reads the node's state; a change of pause or provider is acknowledged once no batch is being applied. */
async function acknowledge(target: pg.Client, queue: string, scope: NodeScope): Promise<NodeState> {
  const state = await nodeState(target, queue);
  if (state.uptodate) return state;
  return transaction(
    target,
    async () => {
      await hold(target, queue, state.worker_name);
      const seen = await nodeState(target, queue);
      await target.query('select pgq_node.set_consumer_uptodate($1, $2, true)', [queue, state.worker_name]);
      return { ...seen, uptodate: true };
    },
    { deadline: scope.deadline, subject: { queue } },
  );
}

async function storeError(target: pg.Client, queue: string, worker: string, error: unknown): Promise<void> {
  const text = error instanceof SkytoolsError ? `${error.message} (${error.code})` : errorMessage(error);
  await target.query('select pgq_node.set_consumer_error($1, $2, $3)', [queue, worker, text]).catch(() => {});
}

class Replay {
  readonly #scope: NodeScope;
  readonly #target: pg.Client;
  readonly #provider: pg.Client;
  readonly #queue: string;
  readonly #state: NodeState;
  readonly #settings: NodeSettings;
  /** Copies of this node are catching up with it. */
  #copying = false;
  /** Of the tables whose handler looks at each event. */
  #hooks: ReadonlyMap<string, TableHook> = new Map();

  constructor(
    scope: NodeScope,
    target: pg.Client,
    provider: pg.Client,
    queue: string,
    state: NodeState,
    settings: NodeSettings,
  ) {
    this.#scope = scope;
    this.#target = target;
    this.#provider = provider;
    this.#queue = queue;
    this.#state = state;
    this.#settings = settings;
  }

  /** Whether a batch may be applied in parts: nobody below is handed whole ones. */
  get #divisible(): boolean {
    return this.#state.node_type === 'leaf' && this.#state.combined_queue === null;
  }

  async run(): Promise<ReplayResult> {
    const { worker_name: worker, node_name: node } = this.#state;
    const batch = await nextBatch(this.#provider, this.#queue, worker, this.#settings);
    if (batch === undefined) {
      await noteFaults(this.#provider, this.#target, this.#queue);
      await restoreForeignKeys(this.#target, this.#queue);
      return IDLE;
    }
    let events = 0;
    let finished = true;
    const missing: MissingCounts = new Map();
    const follows = followsCombined(this.#state);
    // The combined branch has not come so far.
    if (follows && batch.cur_tick_id > this.#state.completed_tick) return IDLE;
    const skipped = !(await this.#isNext(batch));
    if (follows) events = await this.#follow(batch);
    else if (!skipped) {
      const whole = this.#divisible
        ? undefined
        : new WholeBatch(this.#queue, batch, this.#state.cur_error, this.#scope.deadline);
      whole?.check();
      do {
        const part = await this.#applyWithoutFaulty(batch, missing).catch((error) => {
          throw whole && error instanceof DeadlineError ? whole.failed(error) : error;
        });
        if (part === 'stopped') return IDLE;
        events += part.events;
        finished = part.finished;
      } while (!finished && this.#scope.deadline.allows(PART_MS));
    }
    let copies: string[] = [];
    if (finished) {
      if (this.#state.node_type === 'branch') await makeTick(this.#target, this.#queue, batch);
      await this.#tellProvider(batch);
      if (this.#copying) copies = await copiesAtNode(this.#target, this.#queue, batch.prev_tick_id);
    }
    const missingRows = [...missing.values()].reduce((sum, count) => sum + count, 0);
    return {
      did: { node, batch: batch.batch_id, tick: batch.cur_tick_id, events, finished, skipped, missingRows },
      next: 'again',
      copies,
    };
  }

  /**
   * Whether the batch is still to be applied.
   *
   * @throws BusyError where another replay has gone on since the state was read
   */
  async #isNext(batch: SourceBatch): Promise<boolean> {
    const { completed_tick: seen, combined_queue: combined, worker_name: worker } = this.#state;
    // A merged leaf may find several applied: while its combined node was a branch, that one moved its position.
    if (combined !== null && batch.cur_tick_id <= seen) return false;
    try {
      return isNext(batch, seen, this.#queue, worker);
    } catch (error) {
      const { completed_tick: now } = await nodeState(this.#target, this.#queue);
      if (now === seen) throw error;
      throw new BusyError(`replay of ${this.#queue}`, { subject: { queue: this.#queue, consumer: worker } });
    }
  }

  /**
   * A batch of a leaf whose combined queue is a branch here: its rows come by that branch, which has moved this leaf's position
   * beyond the batch. Only what is said of the cascade and of the set is obeyed.
   */
  async #follow(batch: SourceBatch): Promise<number> {
    const [scope, target, queue] = [this.#scope, this.#target, this.#queue];
    const options = { deadline: scope.deadline, subject: { queue } };
    return transaction(
      target,
      async () => {
        await hold(target, queue, this.#state.worker_name);
        const { events } = await transaction(
          this.#provider,
          () =>
            applyBatch(this.#provider, target, {
              batch: batch.batch_id,
              tables: async () => new Map(),
              idempotent: false,
              strict: false,
              setAside: false,
              onSystemEvent: async (event) => {
                if (/^(?:pgq|londiste)\./.test(event.type)) await obey(target, queue, event);
              },
            }),
          { readOnly: true, ...options },
        );
        return events;
      },
      options,
    );
  }

  /** Applies a part; a table whose shape is in the way is held back, and the others go on. */
  async #applyWithoutFaulty(
    batch: SourceBatch,
    missing: MissingCounts,
  ): Promise<{ events: number; finished: boolean } | 'stopped'> {
    for (;;) {
      try {
        return await this.#applyPart(batch, missing);
      } catch (error) {
        const held = {
          provider: this.#provider,
          target: this.#target,
          queue: this.#queue,
          state: this.#state,
          batch,
          deadline: this.#scope.deadline,
        };
        if (!(await holdFaultyTable(held, error))) throw error;
      }
    }
  }

  /** The whole batch in one transaction; on a leaf as much of it as fits into the time left, with its position. */
  async #applyPart(
    batch: SourceBatch,
    missing: MissingCounts,
  ): Promise<{ events: number; finished: boolean } | 'stopped'> {
    const [scope, target, queue] = [this.#scope, this.#target, this.#queue];
    const { worker_name: worker } = this.#state;
    return transaction(
      target,
      async () => {
        const held = await hold(target, queue, worker);
        if (
          held.completed !== batch.prev_tick_id ||
          held.provider !== this.#state.provider_node ||
          held.paused
        )
          return 'stopped';
        const subscribed = await subscriptions(target, queue);
        // A table's copy has come as far as this node and takes the last step: law 7 on the table's side.
        if (subscribed.some(({ state }) => state?.startsWith('do-sync'))) return 'stopped';
        this.#copying = subscribed.some(({ state }) => state === 'catching-up');
        await target.query(APPLY_SETTINGS);
        let tables: ReadonlyMap<string, RealTable> = new Map();
        const divisible = this.#divisible;
        const after = divisible ? await doneEvent(target, queue, worker, batch) : undefined;
        const limit = Math.max(
          1_000,
          Math.min(LARGEST_PART, Math.floor((scope.deadline.remainingMs() / 1000) * SLOWEST_APPLY)),
        );
        const ownWatermark = (await synchronised(target, this.#state)) !== undefined;
        const forward = await forwarding(target, this.#state, ownWatermark);
        const applied = await transaction(
          this.#provider,
          async () => {
            const done = await applyBatch(this.#provider, target, {
              batch: batch.batch_id,
              after,
              limit: divisible ? limit : undefined,
              expected: Number(batch.cur_tick_event_seq - batch.prev_tick_event_seq),
              tables: async () => (tables = await this.#tables()),
              hooks: () => this.#hooks,
              idempotent: false,
              strict: this.#settings.apply === 'strict',
              setAside: this.#settings.refusedEvents !== 'stop',
              forward,
              onSystemEvent: async (event) => {
                if (!(ownWatermark && event.type === GLOBAL_WATERMARK)) await obey(target, queue, event);
              },
            });
            await setAside(this.#provider, target, queue, batch, done.refused);
            return done;
          },
          { readOnly: true, deadline: scope.deadline, subject: { queue } },
        );
        const { events, missing: counts } = applied;
        for (const [table, count] of counts) missing.set(table, (missing.get(table) ?? 0) + count);
        await countMissing(target, queue, counts);
        const finished = !divisible || events < limit;
        if (finished) {
          await forgetSnapshots(this.#provider, target, queue, batch.prev_tick_id, tables);
          await noteMergedTick(target, this.#state, batch);
          await completeBatch(target, queue, worker, batch);
        } else await storeDoneEvent(target, queue, worker, batch, applied.last);
        return { events, finished };
      },
      { deadline: scope.deadline, subject: { queue } },
    ).catch((error) => {
      // The server ended a statement because the function's time is over: the position stands where it was.
      if (hasSqlState(error, '57014') && !scope.deadline.allows(0))
        throw new DeadlineError(`batch ${batch.batch_id} of ${queue}`, { cause: error });
      throw error;
    });
  }

  /** The tables whose rows are applied here, as they are now. */
  async #tables(): Promise<ReadonlyMap<string, RealTable>> {
    const inSync = (await subscriptions(this.#target, this.#queue)).filter(({ state }) => state === 'ok');
    this.#hooks = new Map(
      inSync.flatMap((table) => {
        const hook = hookOf(table);
        return hook === undefined ? [] : [[table.name, hook]];
      }),
    );
    const applied = inSync.filter((table) => holdsRows(table) && !this.#hooks.has(table.name));
    const tables = await realTables(this.#target, applied, this.#settings);
    return new Map(tables.map((table) => [table.name, table]));
  }

  /** Finishes the batch; where the subtree's watermark was not told for five minutes, tells it first. */
  async #tellProvider(batch: SourceBatch): Promise<void> {
    const [provider, queue, node] = [this.#provider, this.#queue, this.#state.node_name];
    const watermark = `.${node}.watermark`;
    const { rows } = await provider.query<{ due: boolean }>(
      `select last_seen >= interval '${WATERMARK_PERIOD}' as due from pgq.get_consumer_info($1, $2)`,
      [queue, watermark],
    );
    if (rows[0]?.due) {
      // A busy node is never idle: it looks at its tables as often as it tells of itself.
      await noteFaults(provider, this.#target, queue);
      await tellWatermark(this.#scope, provider, this.#target, batch, this.#state);
    }
    await provider.query('select pgq.finish_batch($1)', [batch.batch_id]);
  }
}

/** Time that another part of a batch is begun with, in milliseconds. */
const PART_MS = 10_000;

/** As the original's local_wm_publish_period. */
const WATERMARK_PERIOD = '5 minutes';

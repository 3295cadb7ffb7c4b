import type pg from 'pg';
import { pgqError } from '../../pgq/errors.ts';
import { BusyError } from '../../platform/errors.ts';
import { quoteQualified } from '../../postgres/quote.ts';
import { transaction } from '../../postgres/transaction.ts';
import { APPLY_SETTINGS, applyBatch } from '../apply/run.ts';
import { type Held, hold, nodeState } from '../node-state.ts';
import type { NodeScope } from '../place.ts';
import { noteMended } from '../replay/health.ts';
import { completeBatch, doneEvent } from '../replay/progress.ts';
import type { NodeSettings } from '../settings.ts';
import { isNext, nextBatch, type SourceBatch } from '../source-batch.ts';
import { realTable, type Subscription } from '../tables.ts';
import { SourceChanged } from './chunk.ts';
import type { CopyJob } from './job.ts';
import { keyless } from './plan.ts';
import { analyzeOnce, putBackNext } from './structure.ts';
import { severalTicks } from './ticks.ts';

/*
 * Why the copy is exact.
 *
 * Let A be the tick at which the copy's consumer was registered, before any chunk was read. Chunk i reads its range at a
 * moment S_i after A; B is the first tick that sees all that the source showed after the last chunk (a tick takes its snapshot
 * before it can be seen, so the next one need not). Every row change between A and B is an event in the
 * consumer's batches, in the order in which changes of one row were committed (the row's lock orders them), and names the
 * whole row. Catching up applies these events to the copied rows so that an event's row is what stands afterwards, whatever
 * stood before: insert or overwrite, delete if present.
 *
 * Take a key. If there are events of it in A..B, the last one decides, and it is the state of the key at B, since no later
 * change precedes B. So for such a key it does not matter which of its rows was copied, or whether any was. If there is
 * none, its row is the same at every S_i, and has to be copied exactly once, or not at all if it does not exist:
 *
 * - Ranges of keys: exactly one chunk's range holds the key.
 * - Ranges of blocks: a row that nobody changes stays in its block until the table is written anew, which is noticed by its
 *   file (the lock that each chunk takes first keeps the file for the time of the reading); so exactly one range holds it.
 *   A row that moves to another block is a changed one, and an event tells of it: blocks are cut only where the triggers
 *   leave no change out (ranges.ts). Scripts (EXECUTE) change rows without events: one between A and B, and the table is
 *   copied again by keys. Rows written by a transaction that began after the plan, whose triggers had been looked at, are
 *   passed over (`newer_than`): they are events. (Those that began before may have written when there was no trigger.) So no
 *   key comes twice, but for rows moved by a transaction that was running then; the primary key refuses the second, and
 *   the chunk is done again with care for it.
 *
 * A TRUNCATE is an event for every key. A key change is a delete and an insert. So at B the table is that of the source,
 * whatever the moments S_i were and in whatever order. From B on, each batch takes the table from one exact state to the
 * next. Where a column came or went between two chunks, the copy begins again.
 *
 * A table that replay has held back for a fault of its shape has no chunks: it was exact where its consumer begins, and each
 * batch keeps it so. A script among its events has run here before they came, out of its turn: it is copied again.
 *
 * Before B the table may be in no state that ever was: a unique value may stand in two rows, a reference may lead nowhere.
 * That is why unique constraints and foreign keys are off until B, and why the primary key stays on: overwriting needs it.
 * Repeating a chunk cannot happen (its mark commits with it), repeating a batch would do no harm. The worker passes the
 * table over until both stand at the same tick, under the lock of the worker's position; then it is `ok`. A batch that saw
 * the table in another state than the plan is over before the plan empties the table (plan.ts).
 *
 * A copy can begin again at any moment, while somebody is still at work by what it knew before. Whatever such a one does here
 * is refused: it holds the copy's position (holdCopy) or the chunk (chunk.ts) and looks whether they still are what it knows;
 * `put_back` looks at the copy itself. What it does at the source, where no lock of this database reaches, is mended: the
 * position here is the truth, and the source is told of it.
 */

export interface CatchUp {
  scope: NodeScope;
  /** Name of the target's database. */
  database: string;
  source: pg.Client;
  target: pg.Client;
  queue: string;
  consumer: string;
  worker: string;
  table: Subscription;
  settings: NodeSettings;
  /** Copies side by side in the target's database. */
  limit: number;
  job: CopyJob;
}

/** Time within which a batch is expected, in milliseconds: below it nothing new is begun. */
const STEP_MS = 5_000;

/**
 * Builds indexes, replays the table's events until it stands where the node does, and hands it over. What a duplicate value
 * could break comes back when the table is exact.
 *
 * @returns `done` in sync; `wait` others have to do something first; `behind` the node's replay has; `again` the time is over
 * @throws SourceChanged
 */
export async function catchUp(run: CatchUp): Promise<'done' | 'wait' | 'behind' | 'again'> {
  const { scope, database, target, queue, job, limit } = run;
  // An index that the rows refuse as they are now: a later batch may mend them.
  let refused: unknown;
  // The node is asked to wait only for a copy that gets on.
  let moved = false;
  while (scope.deadline.allows(STEP_MS)) {
    const { completed } = await position(run);
    const exact = await isExact(run, completed);
    let whole = false;
    if (refused === undefined) {
      const kinds = exact ? (['index', 'unique', 'trigger'] as const) : (['index'] as const);
      const put = await putBackNext(scope, database, target, job, kinds, limit).catch((error) => {
        if (!exact) throw error;
        refused = error;
        return undefined;
      });
      if (put === 'done') continue;
      if (put === 'busy') return 'wait';
      whole = put === 'none';
    }
    const worker = (await nodeState(target, queue)).completed_tick;
    if (exact && whole) {
      await analyzeOnce(target, job, quoteQualified(job.destTable));
      if (completed === worker && (await handOver(run))) return 'done';
      // The node goes on while the copy does: let it wait for the last few batches.
      if (completed === worker || moved) await stopWorker(run);
    }
    const applied = await applyNext(run, { completed, worker, exact }).catch(async (error) => {
      await letWorkerGo(run);
      throw error;
    });
    if (job.untilTick === null && applied !== 'behind') job.untilTick = await endHold(run, worker);
    else if (applied !== 'applied') {
      if (applied === 'behind') await letWorkerGo(run);
      if (refused !== undefined) throw refused;
      return applied;
    }
    moved = true;
  }
  return 'again';
}

async function position(run: CatchUp): Promise<{ completed: bigint }> {
  return transaction(run.target, () => holdCopy(run));
}

/** Whether the table is what it was at the source at the tick completed: it lies behind the last chunk. */
async function isExact({ source, target, queue, job }: CatchUp, completed: bigint): Promise<boolean> {
  if (job.untilTick === null || completed < job.untilTick) return false;
  if (job.untilSnapshot === null) return true;
  // A tick takes its snapshot before it is seen: that of the next one may be older than the last chunk.
  const { rows } = await source.query<{ behind: boolean }>(
    `select txid_snapshot_xmax(t.tick_snapshot) >= txid_snapshot_xmax(c.seen)
            and not exists (select from txid_snapshot_xip(t.tick_snapshot) x where txid_visible_in_snapshot(x, c.seen)) as behind
       from pgq.tick t
       join pgq.queue q on q.queue_id = t.tick_queue and q.queue_name = $1
      cross join (select $3::txid_snapshot as seen) c
      where t.tick_id = $2`,
    [queue, completed, job.untilSnapshot],
  );
  if (!rows[0]?.behind) return false;
  await target.query(
    'update londiste.copy_job set until_snapshot = null where job_id = $1 and until_tick = $2',
    [job.id, job.untilTick],
  );
  job.untilSnapshot = null;
  return true;
}

/**
 * Holds the position of the copy's consumer, and looks whether it is still the copy that this run knows: a resync, or a plan
 * made anew, may have come between.
 *
 * @throws BusyError where it is not
 */
async function holdCopy({ target, queue, consumer, table, job }: CatchUp): Promise<Held> {
  const held = await hold(target, queue, consumer);
  const { rowCount } = await target.query(
    `select from londiste.table_info t
       join londiste.copy_job j on j.queue_name = t.queue_name and j.table_name = t.table_name
      where t.queue_name = $1 and t.table_name = $2 and t.merge_state ~ '^(catching-up|wanna-sync|do-sync)'
        and j.job_id = $3 and j.until_tick is not distinct from $4`,
    [queue, table.name, job.id, job.untilTick],
  );
  if (rowCount === 0) throw new BusyError(`copy of ${table.name}`, { subject: { queue, table: table.name } });
  return held;
}

/** Sets the table to `ok` if copy and node are at the same tick. Both are locked: neither moves meanwhile. */
async function handOver(run: CatchUp): Promise<boolean> {
  const { scope, target, queue, worker, table } = run;
  return transaction(
    target,
    async () => {
      const node = await hold(target, queue, worker, true);
      const copy = await holdCopy(run);
      if (node.completed !== copy.completed) return false;
      // A resync may just be asking for another copy.
      const { rowCount } = await target.query(
        `update londiste.table_info set merge_state = 'ok', custom_snapshot = null
          where queue_name = $1 and table_name = $2 and merge_state is not null`,
        [queue, table.name],
      );
      return rowCount === 1;
    },
    { deadline: scope.deadline, lockTimeoutMs: WORKER_WAIT_MS, subject: { queue, table: table.name } },
  );
}

/**
 * How long a batch is waited for that the node is applying, in milliseconds. A node that replays at every tick, woken together
 * with the copy, would otherwise be found at work each time.
 */
const WORKER_WAIT_MS = 30_000;

/** `do-sync`: the node stands still until the copy has reached it. */
async function stopWorker(run: CatchUp): Promise<void> {
  const { scope, target, queue, worker, table } = run;
  await transaction(
    target,
    async () => {
      const { completed } = await hold(target, queue, worker, true);
      await holdCopy(run);
      await target.query(
        `update londiste.table_info set merge_state = 'do-sync:' || $3::text
          where queue_name = $1 and table_name = $2 and merge_state = 'catching-up'`,
        [queue, table.name, completed],
      );
    },
    { deadline: scope.deadline, lockTimeoutMs: WORKER_WAIT_MS, subject: { queue, table: table.name } },
  ).catch((error) => {
    // A batch is being applied: the next round tries again.
    if (!(error instanceof BusyError)) throw error;
  });
}

/** A copy that fails at `do-sync`, or cannot get to that tick, does not hold up its node. */
async function letWorkerGo({ target, queue, table, job }: CatchUp): Promise<void> {
  await target.query(
    `update londiste.table_info t set merge_state = 'catching-up'
       from londiste.copy_job j
      where t.queue_name = $1 and t.table_name = $2 and t.merge_state like 'do-sync%'
        and j.queue_name = t.queue_name and j.table_name = t.table_name
        and j.job_id = $3 and j.until_tick is not distinct from $4`,
    [queue, table.name, job.id, job.untilTick],
  );
}

/**
 * The table that was held back takes its events again: where the node stands now it may be handed over.
 *
 * @returns that tick
 */
async function endHold(run: CatchUp, worker: bigint): Promise<bigint> {
  const { target, queue, table, job } = run;
  await transaction(target, async () => {
    await holdCopy(run);
    await target.query('update londiste.copy_job set until_tick = $2 where job_id = $1', [job.id, worker]);
    await noteMended(target, queue, table.name);
  });
  return worker;
}

/** Where a step of catching up stands. */
interface Standing {
  completed: bigint;
  /** The node's. */
  worker: bigint;
  exact: boolean;
}

/** One batch of the copy's consumer, never beyond the node's position. */
async function applyNext(run: CatchUp, standing: Standing): Promise<'applied' | 'wait' | 'behind'> {
  const { source, target, queue, consumer, table, settings, job } = run;
  const { worker, exact } = standing;
  const { deadline } = run.scope;
  const batch = await nextOfCopy(run, standing);
  if (batch === undefined) return 'wait';
  const { completed } = await position(run);
  if (isNext(batch, completed, queue, consumer)) {
    // A node that was just stopped may have come further.
    if (batch.cur_tick_id > worker && batch.cur_tick_id > (await nodeState(target, queue)).completed_tick)
      return 'behind';
    await transaction(
      target,
      async () => {
        const held = await holdCopy(run);
        if (held.completed !== batch.prev_tick_id) throw new BusyError(`copy of ${table.name}`);
        await target.query(APPLY_SETTINGS);
        const after = await doneEvent(target, queue, consumer, batch);
        await transaction(
          source,
          () =>
            applyBatch(source, target, {
              batch: batch.batch_id,
              after,
              tables: async () => {
                const real = await realTable(target, table, settings);
                if (real.key.length === 0) throw keyless(queue, table);
                return new Map([[table.name, real]]);
              },
              idempotent: true,
              strict: false,
              setAside: false,
              onSystemEvent: async ({ type }) => {
                if (type === 'EXECUTE' && !exact && (job.ranges ?? 'block') === 'block')
                  throw new SourceChanged(job, 'was changed by a script during its copy', 'key');
              },
            }),
          { readOnly: true, deadline, subject: { queue, table: table.name } },
        );
        await completeBatch(target, queue, consumer, batch);
      },
      { deadline, subject: { queue, table: table.name } },
    );
  }
  await source.query('select pgq.finish_batch($1)', [batch.batch_id]);
  return 'applied';
}

/**
 * The next batch of the copy's consumer. The position here is the truth: somebody who was frozen may have finished a batch at
 * the source, or taken the consumer off, for an earlier plan. Then the source is told where this one stands.
 *
 * @throws SourceChanged where the source has forgotten that tick; BusyError
 */
async function nextOfCopy(run: CatchUp, standing: Standing): Promise<SourceBatch | undefined> {
  const { source, target, queue, consumer, job } = run;
  try {
    const minIntervalSeconds = await severalTicks(
      source,
      queue,
      standing.completed,
      lastOfSeveral(run, standing),
    );
    const batch = await nextBatch(source, queue, consumer, { minIntervalSeconds });
    if (batch === undefined) return undefined;
    const { completed } = await position(run);
    if (batch.prev_tick_id === completed || batch.cur_tick_id === completed) return batch;
  } catch (error) {
    if (pgqError(error).code !== 'PGQ_NOT_SUBSCRIBED') throw error;
  }
  await transaction(target, async () => {
    const { completed } = await holdCopy(run);
    await source.query('select pgq.register_consumer_at($1, $2, $3)', [queue, consumer, completed]);
  }).catch((error) => {
    if (pgqError(error).code !== 'PGQ_TICK_MISSING') throw error;
    throw new SourceChanged(job, 'has forgotten the changes that its copy is at');
  });
  return nextBatch(source, queue, consumer);
}

/**
 * The tick that a batch of several may end at: the node's, or before it that from which on the table is exact, since a script
 * means something else before than after. The first batch of a table that was held back is the node's, of which it may have
 * a part already.
 */
function lastOfSeveral({ job }: CatchUp, { completed, worker, exact }: Standing): bigint {
  if (job.untilTick === null) return completed;
  return exact || worker < job.untilTick ? worker : job.untilTick;
}

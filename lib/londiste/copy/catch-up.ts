import type pg from 'pg';
import type { Deadline } from '../../platform/deadline.ts';
import { BusyError } from '../../platform/errors.ts';
import { transaction } from '../../postgres/transaction.ts';
import { applyStaged } from '../apply/run.ts';
import { APPLY_SETTINGS, rewriteFragments, stage } from '../apply/staging.ts';
import { hold, nodeState } from '../node-state.ts';
import type { NodeSettings } from '../settings.ts';
import { isNext, nextBatch } from '../source-batch.ts';
import { realTable, type Subscription } from '../tables.ts';
import { putBackOne } from './structure.ts';

/*
 * Why the copy is exact.
 *
 * Let A be the tick at which the copy's consumer was registered, before any chunk was read. Chunk i reads its range of keys
 * at a moment S_i after A; B is the first tick made after the last chunk. Every row change between A and B is an event in
 * the consumer's batches, in the order in which changes of one row were committed (the row's lock orders them), and names
 * the whole row. Catching up applies these events to the copied rows so that an event's row is what stands afterwards,
 * whatever stood before: insert or overwrite, delete if present.
 *
 * Take a key. If no event of A..B names it, its row is the same at every S_i, and exactly one chunk, whose range holds the
 * key, has copied it, or none if it does not exist. If there are events, the last one decides, and it is the state of the
 * key at B, since no later change precedes B. So at B the table is that of the source, whatever the moments S_i were; a
 * TRUNCATE is an event for every key. A key change is a delete and an insert. From B on, each batch takes the table from
 * one exact state to the next.
 *
 * Before B the table may be in no state that ever was: a unique value may stand in two rows, a reference may lead nowhere.
 * That is why unique constraints and foreign keys are off until B, and why the primary key stays on: overwriting needs it.
 * Repeating a chunk cannot happen (its mark commits with it), repeating a batch would do no harm. The worker passes the
 * table over until both stand at the same tick, under the lock of the worker's position; then it is `ok`.
 */

export interface CatchUp {
  source: pg.Client;
  target: pg.Client;
  queue: string;
  consumer: string;
  worker: string;
  table: Subscription;
  settings: NodeSettings;
  deadline: Deadline;
  /** B: exact from this tick on. */
  untilTick: bigint;
}

/** Time within which a batch or a small index is expected, in milliseconds: below it nothing new is begun. */
const STEP_MS = 5_000;

/**
 * Replays the table's events until it stands where the node does, puts back what was taken off, and hands it over.
 *
 * @returns `done` in sync; `wait` the source has nothing more yet; `again` the time is over
 */
export async function catchUp(job: CatchUp): Promise<'done' | 'wait' | 'again'> {
  const { target, queue, consumer } = job;
  while (job.deadline.allows(STEP_MS)) {
    const { completed } = await position(target, queue, consumer);
    const worker = (await nodeState(target, queue)).completed_tick;
    if (completed >= job.untilTick) {
      if (await putBackOne(target, queue, job.table)) continue;
      if (completed === worker && (await handOver(job))) return 'done';
      // The node goes on while the copy does: let it wait for the last few batches.
      if (completed < worker) await stopWorker(job);
    }
    if (!(await applyNext(job, worker))) return 'wait';
  }
  return 'again';
}

async function position(target: pg.Client, queue: string, consumer: string): Promise<{ completed: bigint }> {
  return transaction(target, () => hold(target, queue, consumer));
}

/** Sets the table to `ok` if copy and node are at the same tick. Both are locked: neither moves meanwhile. */
async function handOver({ target, queue, consumer, worker, table, deadline }: CatchUp): Promise<boolean> {
  return transaction(
    target,
    async () => {
      const node = await hold(target, queue, worker);
      const copy = await hold(target, queue, consumer);
      if (node.completed !== copy.completed) return false;
      await target.query(
        `update londiste.table_info set merge_state = 'ok', custom_snapshot = null
          where queue_name = $1 and table_name = $2 and merge_state ~ '^(catching-up|wanna-sync|do-sync)'`,
        [queue, table.name],
      );
      return true;
    },
    { deadline, subject: { queue, table: table.name } },
  );
}

/** `do-sync`: the node stands still until the copy has reached it. */
async function stopWorker({ target, queue, worker, table, deadline }: CatchUp): Promise<void> {
  await transaction(
    target,
    async () => {
      const { completed } = await hold(target, queue, worker);
      await target.query(
        `update londiste.table_info set merge_state = 'do-sync:' || $3::text
          where queue_name = $1 and table_name = $2 and merge_state = 'catching-up'`,
        [queue, table.name, completed],
      );
    },
    { deadline, subject: { queue, table: table.name } },
  ).catch((error) => {
    // A batch is being applied: the next round tries again.
    if (!(error instanceof BusyError)) throw error;
  });
}

/** One batch of the copy's consumer, never beyond the node's position. False where there is none to apply. */
async function applyNext(job: CatchUp, worker: bigint): Promise<boolean> {
  const { source, target, queue, consumer, table, settings, deadline } = job;
  const batch = await nextBatch(source, queue, consumer);
  if (batch === undefined) return false;
  const { completed } = await position(target, queue, consumer);
  if (isNext(batch, completed, queue, consumer)) {
    if (batch.cur_tick_id > worker) return false;
    await transaction(
      target,
      async () => {
        const held = await hold(target, queue, consumer);
        if (held.completed !== batch.prev_tick_id) throw new BusyError(`copy of ${table.name}`);
        await target.query(APPLY_SETTINGS);
        const tables = new Map([[table.name, await realTable(target, table, settings)]]);
        await transaction(
          source,
          () => stage(source, target, { batch: batch.batch_id, tables: [table.name] }),
          { readOnly: true, deadline, subject: { queue, table: table.name } },
        );
        await rewriteFragments(target, tables);
        await applyStaged(target, { tables, idempotent: true, strict: false, onSystemEvent: async () => {} });
        await target.query('select pgq_node.set_consumer_completed($1, $2, $3)', [
          queue,
          consumer,
          batch.cur_tick_id,
        ]);
      },
      { deadline, subject: { queue, table: table.name } },
    );
  }
  await source.query('select pgq.finish_batch($1)', [batch.batch_id]);
  return true;
}

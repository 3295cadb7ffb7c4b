import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { Forward } from '../apply/forward.ts';
import { type NodeState, nodeState } from '../node-state.ts';
import type { SourceBatch } from '../source-batch.ts';
import { GLOBAL_WATERMARK } from './watermark.ts';

/**
 * Where the node's events go on to: on a branch into its own queue, with their ids; on a leaf that is merged into a root, those
 * of tables into the combined queue, which numbers them. Needs the replication role `replica`.
 *
 * @param ownWatermark whoever reads from the branch hears of its global watermark instead of the root's
 */
export async function forwarding(
  target: Client,
  state: NodeState,
  ownWatermark: boolean,
): Promise<(() => Forward) | undefined> {
  const branch = state.node_type === 'branch';
  const into = branch ? state.queue : mergesInto(state);
  if (into === undefined) return undefined;
  const { rows } = await target.query<{ table: string }>('select pgq.current_event_table($1) as table', [
    into,
  ]);
  const passes = (type: string) => branch || !(type.startsWith('pgq.') || type.startsWith('londiste.'));
  const replaced = ownWatermark
    ? new Map([[GLOBAL_WATERMARK, Buffer.from(String(state.global_watermark))]])
    : new Map<string, Buffer>();
  return () => new Forward(rows[0]!.table, branch, passes, replaced);
}

/** The combined queue of this database that a leaf writes into. */
const mergesInto = (state: NodeState): string | undefined =>
  state.node_type === 'leaf' && state.combined_queue !== null && state.combined_type === 'root'
    ? state.combined_queue
    : undefined;

/** Whether a leaf only follows: a branch of its combined queue brings its rows. */
export const followsCombined = (state: NodeState): boolean =>
  state.node_type === 'leaf' && state.combined_type === 'branch';

/** Tells the branches of the combined queue how far this partition has come in it: they move their own leaf of it. */
export async function noteMergedTick(target: Client, state: NodeState, batch: SourceBatch): Promise<void> {
  const combined = mergesInto(state);
  if (combined === undefined) return;
  await target.query(`select pgq.insert_event($1, 'pgq.tick-id', $2, $3, null, null, null)`, [
    combined,
    String(batch.cur_tick_id),
    state.queue,
  ]);
}

/**
 * Makes the batch's tick in the branch's queue: after the events are committed and in a transaction of its own, so that its
 * snapshot shows them. A run that was killed before this leaves it to the next one.
 *
 * @throws SkytoolsError LONDISTE_BRANCH_TICKS
 */
export async function makeTick(target: Client, queue: string, batch: SourceBatch): Promise<void> {
  const { local_queue_top: top } = await nodeState(target, queue);
  if (top === batch.cur_tick_id) return;
  if (top !== batch.prev_tick_id) {
    throw new SkytoolsError(
      'LONDISTE_BRANCH_TICKS',
      `the branch's last tick is ${top}, where ${batch.prev_tick_id} or ${batch.cur_tick_id} should be`,
      {
        subject: { queue },
        hint: 'the branch misses ticks of its provider: drop it and create it again',
      },
    );
  }
  await target.query('select pgq.ticker($1, $2, $3, $4)', [
    queue,
    batch.cur_tick_id,
    batch.tick_time,
    batch.cur_tick_event_seq,
  ]);
}

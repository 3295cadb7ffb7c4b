import { SkytoolsError } from '../../platform/errors.ts';
import type { Client } from '../../postgres/connect.ts';
import { STAGING } from '../apply/staging.ts';
import { nodeState } from '../node-state.ts';
import type { SourceBatch } from '../source-batch.ts';

const COLUMNS = 'ev_id, ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4';

/** Puts the staged events into the branch's own queue, with their ids. Needs the replication role `replica`. */
export async function forwardEvents(target: Client, queue: string): Promise<void> {
  const { rows } = await target.query<{ table: string }>('select pgq.current_event_table($1) as table', [
    queue,
  ]);
  await target.query(
    `insert into ${rows[0]!.table} (${COLUMNS}) select ${COLUMNS} from ${STAGING} order by ev_id`,
  );
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

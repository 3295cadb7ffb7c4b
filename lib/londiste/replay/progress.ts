import type { Client } from '../../postgres/connect.ts';
import type { SourceBatch } from '../source-batch.ts';

/** The last event of a batch that is applied already, where only a part of it is. */
export async function doneEvent(
  target: Client,
  queue: string,
  consumer: string,
  batch: SourceBatch,
): Promise<bigint | undefined> {
  const { rows } = await target.query<{ done_event: bigint }>(
    `select done_event from londiste.replay_progress
      where queue_name = $1 and consumer_name = $2 and tick_id = $3`,
    [queue, consumer, batch.cur_tick_id],
  );
  return rows[0]?.done_event;
}

/** Notes that the batch is applied up to an event; in the transaction of the rows. */
export async function storeDoneEvent(
  target: Client,
  queue: string,
  consumer: string,
  batch: SourceBatch,
  event: bigint | undefined,
): Promise<void> {
  await target.query(
    `insert into londiste.replay_progress as p (queue_name, consumer_name, tick_id, done_event)
     values ($1, $2, $3, $4)
     on conflict on constraint replay_progress_pkey
     do update set tick_id = excluded.tick_id, done_event = excluded.done_event`,
    [queue, consumer, batch.cur_tick_id, event],
  );
}

/** The whole batch is applied: in the transaction of its last rows, the consumer's position moves to its end. */
export async function completeBatch(
  target: Client,
  queue: string,
  consumer: string,
  batch: SourceBatch,
): Promise<void> {
  await target.query('delete from londiste.replay_progress where queue_name = $1 and consumer_name = $2', [
    queue,
    consumer,
  ]);
  await target.query('select pgq_node.set_consumer_completed($1, $2, $3)', [
    queue,
    consumer,
    batch.cur_tick_id,
  ]);
}

import type { Client } from '../../postgres/connect.ts';

/** Tables whose copy has come as far as their node, which has gone on from that tick now: a step of it may be the last. */
export async function copiesAtNode(target: Client, queue: string, tick: bigint): Promise<string[]> {
  const { rows } = await target.query<{ table: string }>(
    `select t.table_name as "table"
       from londiste.table_info t
       join londiste.copy_job j on j.queue_name = t.queue_name and j.table_name = t.table_name
       join pgq_node.local_state c on c.queue_name = j.queue_name and c.consumer_name = j.consumer_name
      where t.queue_name = $1 and t.local and t.merge_state = 'catching-up' and j.until_tick is not null
        and c.last_tick_id >= $2`,
    [queue, tick],
  );
  return rows.map(({ table }) => table);
}

/** One of the subscribed tables whose copy has not begun: not always the first, at whose provider it may not be ready. */
export async function unbegunCopy(target: Client, queue: string): Promise<string | undefined> {
  const { rows } = await target.query<{ table: string }>(
    `select table_name as "table" from londiste.table_info
      where queue_name = $1 and local and merge_state is null order by random() limit 1`,
    [queue],
  );
  return rows[0]?.table;
}

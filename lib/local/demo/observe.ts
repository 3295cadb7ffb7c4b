import type pg from 'pg';

/** The queue and its consumer at one moment. */
export interface Observation {
  /** Events ever written to the queue, rolled back ones included. */
  events: number;
  ticks: number;
  tickAgeSeconds: number;
  /** Batches finished by the consumer. */
  lastTick: bigint;
  /** Snapshot of the tick that the consumer has finished, and when it did, in milliseconds since 1970. */
  snapshot: string;
  finishedAt: number;
  batchOpen: boolean;
  /** Events of committed transactions that the consumer has not finished, by the sequence. */
  pending: number;
}

/** Reads the state of a queue with one consumer. `track_commit_timestamp` dates the consumer's last step exactly. */
export async function observe(client: pg.Client, queue: string, consumer: string): Promise<Observation> {
  const { rows } = await client.query(
    `select pgq.seq_getval(q.queue_event_seq)::int8 as events,
            (select count(*) from pgq.tick t where t.tick_queue = q.queue_id)::int8 as ticks,
            extract(epoch from clock_timestamp() - newest.tick_time)::float8 as tick_age,
            s.sub_last_tick as last_tick, done.tick_snapshot::text as snapshot,
            extract(epoch from pg_xact_commit_timestamp(s.xmin))::float8 * 1000 as finished_at,
            s.sub_batch is not null as batch_open,
            (pgq.seq_getval(q.queue_event_seq) - done.tick_event_seq)::int8 as pending
       from pgq.queue q
       join pgq.subscription s on s.sub_queue = q.queue_id
       join pgq.consumer c on c.co_id = s.sub_consumer
       join pgq.tick done on done.tick_queue = q.queue_id and done.tick_id = s.sub_last_tick
      cross join lateral (select t.tick_time from pgq.tick t where t.tick_queue = q.queue_id
                           order by t.tick_queue desc, t.tick_id desc limit 1) newest
      where q.queue_name = $1 and c.co_name = $2`,
    [queue, consumer],
  );
  const row = rows[0]!;
  return {
    events: Number(row.events),
    ticks: Number(row.ticks),
    tickAgeSeconds: row.tick_age,
    lastTick: row.last_tick,
    snapshot: row.snapshot,
    finishedAt: row.finished_at,
    batchOpen: row.batch_open,
    pending: Number(row.pending),
  };
}

/** How many committed events the consumer has not finished, from the event tables themselves. */
export async function unfinishedEvents(client: pg.Client, queue: string, consumer: string): Promise<number> {
  const { rows } = await client.query<{ table: string; snapshot: string; retries: number }>(
    `select q.queue_data_pfx as "table", t.tick_snapshot::text as snapshot,
            (select count(*) from pgq.retry_queue r where r.ev_owner = s.sub_id)::int4 as retries
       from pgq.queue q
       join pgq.subscription s on s.sub_queue = q.queue_id
       join pgq.consumer c on c.co_id = s.sub_consumer
       join pgq.tick t on t.tick_queue = q.queue_id and t.tick_id = s.sub_last_tick
      where q.queue_name = $1 and c.co_name = $2`,
    [queue, consumer],
  );
  const { table, snapshot, retries } = rows[0]!;
  const unseen = await client.query<{ events: number }>(
    // queue_data_pfx is a qualified, quoted name of PgQ's own making.
    `select count(*)::int4 as events from ${table} where not txid_visible_in_snapshot(ev_txid, $1::txid_snapshot)`,
    [snapshot],
  );
  return unseen.rows[0]!.events + retries;
}

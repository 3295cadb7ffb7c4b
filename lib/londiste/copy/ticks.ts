import type { Client } from '../../postgres/connect.ts';

/** Events of a queue that the slowest subscriber applies within the time that a step of catching up is begun with. */
const MOST_EVENTS = 10_000;

/**
 * How long a batch that begins at a tick may last to take as many ticks at once as it should: of few events together, none
 * beyond `last`, and of the time up to the newest tick less than half. `next_batch_custom` takes the newest tick where that
 * lasts no longer than twice what was asked for; so it never does here, whatever ticks come meanwhile, and the number of
 * batches grows with the logarithm of that of the ticks.
 *
 * @returns seconds, exact to the microsecond; undefined where the next tick alone is to be taken
 */
export async function severalTicks(
  source: Client,
  queue: string,
  from: bigint,
  last: bigint,
): Promise<number | undefined> {
  const { rows } = await source.query<{ seconds: number }>(
    `select extract(epoch from t.tick_time - f.tick_time)::float8 as seconds
       from pgq.queue q
       join pgq.tick f on f.tick_queue = q.queue_id and f.tick_id = $2
       join lateral (select n.tick_time from pgq.tick n where n.tick_queue = q.queue_id
                      order by n.tick_queue desc, n.tick_id desc limit 1) newest on true
       join pgq.tick t on t.tick_queue = q.queue_id and t.tick_id > f.tick_id and t.tick_id <= $3
      where q.queue_name = $1 and t.tick_event_seq - f.tick_event_seq <= $4
        and 2 * (t.tick_time - f.tick_time) < newest.tick_time - f.tick_time
      order by t.tick_id desc
      limit 1`,
    [queue, from, last, MOST_EVENTS],
  );
  return rows[0]?.seconds;
}

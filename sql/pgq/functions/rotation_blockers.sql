-- pgq.rotation_blockers()
--
-- Who holds up rotation: for each queue whose rotation is due, the consumers that still need the previous table.
-- Returns: queue_name; consumer_name - NULL: nobody reads, a running transaction writes; due_since - when the rotation
--   period was over; last_tick, lag - the consumer's position and its age
create or replace function pgq.rotation_blockers(
    out queue_name text, out consumer_name text, out due_since timestamptz, out last_tick bigint, out lag interval)
returns setof record as $$
begin
    return query
        select q.queue_name, b.co_name, q.queue_switch_time + q.queue_rotation_period, b.tick_id,
               pg_catalog.now() - b.tick_time
          from pgq.queue q
         cross join lateral (
               select c.co_name, t.tick_id, t.tick_time
                 from pgq.subscription s
                 join pgq.consumer c on c.co_id = s.sub_consumer
                 join pgq.tick t on t.tick_queue = s.sub_queue and t.tick_id = s.sub_last_tick
                where s.sub_queue = q.queue_id
                  and pg_catalog.txid_snapshot_xmin(t.tick_snapshot) <= q.queue_switch_step2
                union all
               select null, null, null
                where not exists (select from pgq.subscription s
                                   where s.sub_queue = q.queue_id and s.sub_last_tick is not null)
                  and pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) <= q.queue_switch_step2
               ) b
         where q.queue_switch_step2 is not null
           and q.queue_switch_time + q.queue_rotation_period < pg_catalog.now()
         order by 1, b.tick_time, 2;
end;
$$ language plpgsql;

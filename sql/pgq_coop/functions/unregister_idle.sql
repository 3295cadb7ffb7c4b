-- pgq_coop.unregister_idle(i_queue_name, i_consumer_name, i_subconsumer_names, i_idle) -> int4
--
-- Takes members that have nothing to do out of their group; their next batch registers them
-- again. One whose row another transaction has locked is at work.
--
-- Parameters:
--   i_queue_name, i_consumer_name  the group
--   i_subconsumer_names  the members that may be taken out
--   i_idle               those without a sign of life for so long
-- Returns: number of members taken out
-- Calls: pgq_coop._drop_unused_consumer
-- Tables written: pgq.subscription, pgq.consumer
create or replace function pgq_coop.unregister_idle(
    i_queue_name text, i_consumer_name text, i_subconsumer_names text[], i_idle interval)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_member record;
    v_count  int4 := 0;
begin
    -- The group's row comes before a member's, as in next_batch_custom.
    perform
       from pgq.queue q
       join pgq.subscription s on s.sub_queue = q.queue_id
       join pgq.consumer c on c.co_id = s.sub_consumer
      where q.queue_name = i_queue_name and c.co_name = i_consumer_name
        for update of s;
    for v_member in
        select s.sub_queue, s.sub_consumer
          from pgq.queue q
          join pgq.subscription s on s.sub_queue = q.queue_id
          join pgq.consumer c on c.co_id = s.sub_consumer
         where q.queue_name = i_queue_name
           and c.co_name in (select i_consumer_name || '.' || n.name from unnest(i_subconsumer_names) n (name))
           and s.sub_batch is null
           and s.sub_last_tick is null
           and s.sub_active <= now() - i_idle
         order by s.sub_consumer
           for update of s skip locked
    loop
        delete from pgq.subscription
         where sub_queue = v_member.sub_queue and sub_consumer = v_member.sub_consumer;
        perform pgq_coop._drop_unused_consumer(v_member.sub_consumer);
        v_count := v_count + 1;
    end loop;
    return v_count;
end;
$$;

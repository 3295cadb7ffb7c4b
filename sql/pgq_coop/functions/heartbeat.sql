-- pgq_coop.heartbeat(i_queue_name, i_consumer_name, i_subconsumer_name, i_batch_id) -> int4
--
-- A sign of life from a member that works on a batch outside a transaction, so that a
-- sibling with a dead interval does not take the batch from it.
--
-- Parameters:
--   i_queue_name, i_consumer_name, i_subconsumer_name  the member
--   i_batch_id  the batch that it works on
-- Returns: 1 still its batch; 0 the batch has passed to another or is closed: stop
-- Tables written: pgq.subscription
create or replace function pgq_coop.heartbeat(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_batch_id int8)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq.subscription s
       set sub_active = clock_timestamp()
      from pgq.queue q, pgq.consumer c
     where s.sub_batch = i_batch_id
       and s.sub_queue = q.queue_id
       and s.sub_consumer = c.co_id
       and q.queue_name = i_queue_name
       and c.co_name = i_consumer_name || '.' || i_subconsumer_name;
    return case when found then 1 else 0 end;
end;
$$;

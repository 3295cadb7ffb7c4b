-- pgq_coop.finish_owned_batch(i_queue_name, i_consumer_name, i_subconsumer_name,
--   i_batch_id) -> int4
--
-- Closes a batch only if this member still holds it. A worker that was thought dead and
-- whose batch passed to another member gets 0 and must roll its work back.
--
-- Parameters:
--   i_queue_name, i_consumer_name, i_subconsumer_name  the member
--   i_batch_id  id of the batch
-- Returns: 1 closed, 0 the member does not hold this batch
-- Tables written: pgq.subscription
create or replace function pgq_coop.finish_owned_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_batch_id int8)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq.subscription s
       set sub_active = now(),
           sub_last_tick = null,
           sub_next_tick = null,
           sub_batch = null
      from pgq.queue q, pgq.consumer c
     where s.sub_batch = i_batch_id
       and s.sub_queue = q.queue_id
       and s.sub_consumer = c.co_id
       and q.queue_name = i_queue_name
       and c.co_name = i_consumer_name || '.' || i_subconsumer_name;
    return case when found then 1 else 0 end;
end;
$$;

-- pgq.release_lease(i_queue_name, i_consumer_name, i_fence) -> bool
--
-- Ends a claim before its time.
--
-- Parameters:
--   i_queue_name, i_consumer_name  the consumer
--   i_fence  the number that pgq.acquire_lease returned
-- Returns: false when the claim had passed to another already
-- Tables written: pgq.consumer_lease
create or replace function pgq.release_lease(i_queue_name text, i_consumer_name text, i_fence int8)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq.consumer_lease l
       set lease_until = null,
           lease_holder = null
      from pgq.queue q, pgq.consumer c
     where l.lease_queue = q.queue_id
       and l.lease_consumer = c.co_id
       and q.queue_name = i_queue_name
       and c.co_name = i_consumer_name
       and l.lease_fence = i_fence
       and l.lease_until is not null;
    return found;
end;
$$;

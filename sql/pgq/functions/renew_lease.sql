-- pgq.renew_lease(i_queue_name, i_consumer_name, i_fence, i_duration) -> bool
--
-- Extends a claim. In the transaction that finishes the work it is also the check that the
-- claim still stands: its row lock keeps others from claiming until the commit.
--
-- Parameters:
--   i_queue_name, i_consumer_name  the consumer
--   i_fence     the number that pgq.acquire_lease returned
--   i_duration  how long the claim stands from now
-- Returns: false when the claim has passed to another: what was done under it must not be
--   recorded
-- Tables written: pgq.consumer_lease
create or replace function pgq.renew_lease(
    i_queue_name text, i_consumer_name text, i_fence int8, i_duration interval)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq.consumer_lease l
       set lease_until = clock_timestamp() + i_duration
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

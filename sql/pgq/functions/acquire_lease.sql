-- pgq.acquire_lease(i_queue_name, i_consumer_name, i_holder, i_duration) -> int8
--
-- Claims a consumer for work that spans several transactions. PostgreSQL's clock decides.
--
-- Parameters:
--   i_queue_name, i_consumer_name  the consumer
--   i_holder    who asks, for the operator's eyes
--   i_duration  how long the claim stands unless it is renewed
-- Returns: the fence number of this claim, to be shown with everything done under it; NULL
--   when another lease or transaction holds the consumer
-- Raises: 'Not subscriber to queue: <queue>/<consumer>'
-- Tables written: pgq.consumer_lease
create or replace function pgq.acquire_lease(
    i_queue_name text, i_consumer_name text, i_holder text, i_duration interval)
returns int8
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue    int4;
    v_consumer int4;
    v_fence    int8;
begin
    select q.queue_id, c.co_id
      into v_queue, v_consumer
      from pgq.queue q, pgq.consumer c
     where q.queue_name = i_queue_name
       and c.co_name = i_consumer_name;
    perform 1 from pgq.subscription s
      where s.sub_queue = v_queue and s.sub_consumer = v_consumer
        for update skip locked;
    if not found then
        if not exists (select 1 from pgq.subscription s
                        where s.sub_queue = v_queue and s.sub_consumer = v_consumer) then
            raise exception 'Not subscriber to queue: %/%',
                coalesce(i_queue_name, 'NULL'), coalesce(i_consumer_name, 'NULL');
        end if;
        return null;
    end if;

    insert into pgq.consumer_lease as l
           (lease_queue, lease_consumer, lease_fence, lease_holder, lease_until)
    values (v_queue, v_consumer, 1, i_holder, clock_timestamp() + i_duration)
    on conflict (lease_queue, lease_consumer) do update
       set lease_fence = l.lease_fence + 1,
           lease_holder = excluded.lease_holder,
           lease_until = excluded.lease_until
     where l.lease_until is null
        or l.lease_until <= clock_timestamp()
    returning l.lease_fence into v_fence;
    return v_fence;
end;
$$;

-- pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name) -> int4
--
-- Makes a worker a member of the consumer's group; registers the consumer itself on the
-- queue where it is not yet registered.
--
-- Parameters:
--   i_queue_name        name of the queue
--   i_consumer_name     name of the consumer whose batches are shared
--   i_subconsumer_name  name of the worker; its registration is "<consumer>.<subconsumer>"
-- Returns: 1 new member, 0 already registered (also when an ordinary consumer has that
--   dotted name; it is left as it is and does not become a member)
-- Raises: 'Event queue not created yet' (from pgq.register_consumer)
-- Calls: pgq.register_consumer
-- Tables written: pgq.consumer, pgq.subscription
create or replace function pgq_coop.register_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_main        record;
    v_member_name text := i_consumer_name || '.' || i_subconsumer_name;
begin
    -- The lock on the main row makes registrations within a group follow one another. It comes before any row of
    -- pgq.consumer: next_batch_custom holds it when it calls. Only a group that is new is registered first.
    for v_pass in 1 .. 2 loop
        select s.sub_queue, s.sub_id
          into v_main
          from pgq.queue q
          join pgq.subscription s on s.sub_queue = q.queue_id
          join pgq.consumer c on c.co_id = s.sub_consumer
         where q.queue_name = i_queue_name
           and c.co_name = i_consumer_name
           for update of s;
        exit when found;
        if v_pass = 2 then
            raise exception 'main consumer not found';
        end if;
        perform pgq.register_consumer(i_queue_name, i_consumer_name);
    end loop;

    if pgq.register_consumer(i_queue_name, v_member_name) = 0 then
        return 0;
    end if;

    update pgq.subscription s
       set sub_id = v_main.sub_id,
           sub_last_tick = null,
           sub_next_tick = null
      from pgq.consumer c
     where s.sub_queue = v_main.sub_queue
       and s.sub_consumer = c.co_id
       and c.co_name = v_member_name;
    return 1;
end;
$$;

-- pgq_coop.unregister_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name,
--   i_batch_handling) -> int4
--
-- Takes a worker out of its group. The consumer, its other members and its retry events
-- stay.
--
-- Parameters:
--   i_queue_name        name of the queue
--   i_consumer_name     name of the consumer
--   i_subconsumer_name  name of the worker
--   i_batch_handling    what becomes of a batch that the worker holds: 1 = close it and put
--                       its events into the retry queue of the group, so that another
--                       member gets them; any other value = refuse
-- Returns: 1 removed, 0 unknown
-- Raises: 'subconsumer has active batch'
-- Calls: pgq.batch_retry, pgq_coop._drop_unused_consumer
-- Tables written: pgq.subscription, pgq.consumer, pgq.retry_queue
create or replace function pgq_coop.unregister_subconsumer(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text, i_batch_handling int4)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_member record;
begin
    select s.sub_queue, s.sub_consumer, s.sub_batch
      into v_member
      from pgq.queue q
      join pgq.subscription s on s.sub_queue = q.queue_id
      join pgq.consumer c on c.co_id = s.sub_consumer
     where q.queue_name = i_queue_name
       and c.co_name = i_consumer_name || '.' || i_subconsumer_name
       for update of s;
    if not found then
        return 0;
    end if;

    if v_member.sub_batch is not null then
        if i_batch_handling is distinct from 1 then
            raise exception 'subconsumer has active batch';
        end if;
        -- The group's position is already past this batch: without this its events would
        -- reach nobody.
        perform pgq.batch_retry(v_member.sub_batch, 0);
    end if;

    delete from pgq.subscription
     where sub_queue = v_member.sub_queue
       and sub_consumer = v_member.sub_consumer;
    perform pgq_coop._drop_unused_consumer(v_member.sub_consumer);
    return 1;
end;
$$;

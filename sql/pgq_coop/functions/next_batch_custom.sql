-- pgq_coop.next_batch_custom(i_queue_name, i_consumer_name, i_subconsumer_name,
--   i_min_lag, i_min_count, i_min_interval [, i_dead_interval]) -> int8
--
-- Opens the next batch for a member of the group, or returns the one it has open. Unknown
-- consumers and members are registered on the way.
--
-- Parameters:
--   i_queue_name, i_consumer_name, i_subconsumer_name  who asks
--   i_min_lag, i_min_count, i_min_interval  conditions on a new batch, as in
--                    pgq.next_batch_custom; not applied to a batch that is open already
--   i_dead_interval  siblings silent for longer than this lose their registration; the
--                    batch of the longest silent one passes to the caller with its id. A
--                    sibling whose row another transaction has locked is alive
-- Returns: batch id, or NULL when there is nothing to do now
-- Raises: 'main consumer has batch open?' (somebody took a batch for the consumer with
--   pgq.next_batch), 'subconsumer not found' (an ordinary consumer has the member's name),
--   'consumer ... keeps the order of keys'
-- Calls: pgq.next_batch_custom, pgq_coop.register_subconsumer,
--   pgq_coop._drop_unused_consumer
-- Tables written: pgq.subscription, pgq.consumer
create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count int4, i_min_interval interval)
returns int8
language plpgsql
as $$
begin
    return pgq_coop.next_batch_custom(i_queue_name, i_consumer_name, i_subconsumer_name,
                                      i_min_lag, i_min_count, i_min_interval, null);
end;
$$;

create or replace function pgq_coop.next_batch_custom(
    i_queue_name text, i_consumer_name text, i_subconsumer_name text,
    i_min_lag interval, i_min_count int4, i_min_interval interval, i_dead_interval interval)
returns int8
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_main        record;
    v_member      record;
    v_dead        record;
    v_new         record;
    v_batch       int8;
    v_member_name text := i_consumer_name || '.' || i_subconsumer_name;
begin
    -- A member that holds a batch needs nothing from the group's row.
    update pgq.subscription s
       set sub_active = now()
      from pgq.queue q, pgq.consumer main_c, pgq.consumer c, pgq.subscription main
     where q.queue_name = i_queue_name
       and main_c.co_name = i_consumer_name
       and main.sub_queue = q.queue_id
       and main.sub_consumer = main_c.co_id
       and c.co_name = v_member_name
       and s.sub_queue = q.queue_id
       and s.sub_consumer = c.co_id
       and s.sub_id = main.sub_id
       and s.sub_batch is not null
    returning s.sub_batch into v_batch;
    if found then
        return v_batch;
    end if;

    -- Everything below happens under the lock of the group's main row. The second pass of the
    -- loop follows a registration.
    for v_pass in 1 .. 2 loop
        select s.sub_queue, s.sub_consumer, s.sub_id, s.sub_last_tick, s.sub_next_tick
          into v_main
          from pgq.queue q
          join pgq.subscription s on s.sub_queue = q.queue_id
          join pgq.consumer c on c.co_id = s.sub_consumer
         where q.queue_name = i_queue_name
           and c.co_name = i_consumer_name
           for update of s;
        if found then
            if v_main.sub_next_tick is not null then
                raise exception 'main consumer has batch open?';
            end if;
            if v_main.sub_last_tick is null then
                raise exception 'consumer % keeps the order of keys', i_consumer_name
                    using hint = 'Its slots have the batches: see pgq_coop.next_key_slot.';
            end if;
            select s.sub_consumer, s.sub_batch
              into v_member
              from pgq.subscription s
              join pgq.consumer c on c.co_id = s.sub_consumer
             where s.sub_queue = v_main.sub_queue
               and s.sub_id = v_main.sub_id
               and c.co_name = v_member_name
               for update of s;
            exit when found;
        end if;
        if v_pass = 2 then
            raise exception 'subconsumer not found';
        end if;
        perform pgq_coop.register_subconsumer(i_queue_name, i_consumer_name, i_subconsumer_name);
    end loop;

    -- Another caller of the same name was faster.
    if v_member.sub_batch is not null then
        update pgq.subscription
           set sub_active = now()
         where sub_queue = v_main.sub_queue
           and sub_consumer = v_member.sub_consumer;
        return v_member.sub_batch;
    end if;

    if i_dead_interval is not null then
        for v_dead in
            select s.sub_consumer, s.sub_batch, s.sub_last_tick, s.sub_next_tick
              from pgq.subscription s
             where s.sub_queue = v_main.sub_queue
               and s.sub_id = v_main.sub_id
               and s.sub_consumer not in (v_main.sub_consumer, v_member.sub_consumer)
               and s.sub_active < now() - i_dead_interval
             order by s.sub_batch is null, s.sub_active, s.sub_consumer
               for update skip locked
        loop
            -- One batch for one call: the others wait for the next callers.
            continue when v_batch is not null and v_dead.sub_batch is not null;

            delete from pgq.subscription
             where sub_queue = v_main.sub_queue
               and sub_consumer = v_dead.sub_consumer;
            perform pgq_coop._drop_unused_consumer(v_dead.sub_consumer);

            if v_dead.sub_batch is not null then
                v_batch := v_dead.sub_batch;
                update pgq.subscription
                   set sub_batch = v_dead.sub_batch,
                       sub_last_tick = v_dead.sub_last_tick,
                       sub_next_tick = v_dead.sub_next_tick,
                       sub_active = now()
                 where sub_queue = v_main.sub_queue
                   and sub_consumer = v_member.sub_consumer;
            end if;
        end loop;
        if v_batch is not null then
            return v_batch;
        end if;
    end if;

    select b.batch_id, b.prev_tick_id, b.cur_tick_id
      into v_new
      from pgq.next_batch_custom(i_queue_name, i_consumer_name,
                                 i_min_lag, i_min_count, i_min_interval) b;
    if v_new.batch_id is null then
        return null;
    end if;

    -- The group moves on at once; the batch lives on in the member's row. Two statements in
    -- this order, because sub_batch is unique.
    update pgq.subscription
       set sub_last_tick = sub_next_tick,
           sub_next_tick = null,
           sub_batch = null,
           sub_active = now()
     where sub_queue = v_main.sub_queue
       and sub_consumer = v_main.sub_consumer;
    update pgq.subscription
       set sub_batch = v_new.batch_id,
           sub_last_tick = v_new.prev_tick_id,
           sub_next_tick = v_new.cur_tick_id,
           sub_active = now()
     where sub_queue = v_main.sub_queue
       and sub_consumer = v_member.sub_consumer;
    return v_new.batch_id;
end;
$$;

-- pgq.register_consumer_at(x_queue_name, x_consumer_name, x_tick_pos)
--
-- Subscribes a consumer to a queue, or moves a subscribed one; an open batch is dropped by the move.
-- Parameters: x_tick_pos - tick to start after; NULL: the latest, or no move
-- Returns: 1 - subscribed, 0 - was subscribed
-- Writes: pgq.consumer, pgq.subscription
create or replace function pgq.register_consumer_at(x_queue_name text, x_consumer_name text, x_tick_pos bigint)
returns integer as $$
declare
    _queue_id integer;
    _consumer_id integer;
    _tick bigint := x_tick_pos;
begin
    -- The key lock keeps rotation, which locks the row for update, from overlooking a position that is being taken.
    select q.queue_id
      into _queue_id
      from pgq.queue q
     where q.queue_name = x_queue_name
       for key share;
    if not found then
        raise exception 'Event queue not created yet';
    end if;
    if _tick is not null
       and not exists (select from pgq.tick t where t.tick_queue = _queue_id and t.tick_id = _tick) then
        raise exception 'cannot reposition, tick not found: %', _tick;
    end if;

    -- The row may be inserted by another session at the same time, or deleted with its last subscription.
    loop
        select c.co_id into _consumer_id from pgq.consumer c where c.co_name = x_consumer_name for update;
        exit when found;
        insert into pgq.consumer (co_name) values (x_consumer_name) on conflict (co_name) do nothing;
    end loop;

    perform from pgq.subscription s where s.sub_queue = _queue_id and s.sub_consumer = _consumer_id;
    if found then
        if _tick is not null then
            update pgq.subscription s
               set sub_last_tick = _tick, sub_batch = null, sub_next_tick = null, sub_active = now()
             where s.sub_queue = _queue_id and s.sub_consumer = _consumer_id;
        end if;
        return 0;
    end if;

    if _tick is null then
        select t.tick_id
          into _tick
          from pgq.tick t
         where t.tick_queue = _queue_id
         order by t.tick_queue desc, t.tick_id desc
         limit 1;
        if not found then
            raise exception 'No ticks for this queue.  Please run ticker on database.';
        end if;
    end if;
    insert into pgq.subscription (sub_queue, sub_consumer, sub_last_tick)
    values (_queue_id, _consumer_id, _tick)
    on conflict (sub_queue, sub_consumer) do nothing;
    return case when found then 1 else 0 end;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq.register_consumer(x_queue_name, x_consumer_id)
--
-- Subscribes a consumer to a queue: it gets what comes after the latest tick.
-- Parameters: x_consumer_id - consumer name
-- Returns: 1 - subscribed, 0 - was subscribed
-- Calls: pgq.register_consumer_at()
create or replace function pgq.register_consumer(x_queue_name text, x_consumer_id text)
returns integer as $$
begin
    return pgq.register_consumer_at(x_queue_name, x_consumer_id, null);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

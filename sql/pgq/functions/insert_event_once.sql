-- pgq.insert_event_once(queue_name, event_key, key_window, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
--
-- Writes an event unless one with the same key was written into the queue within the window, so that a producer may
-- repeat what it is not sure of. Of several at the same time one writes; the others wait for its commit, and write if it
-- rolls back.
-- Parameters: event_key - up to 2,600 bytes; key_window - time from the first event during which others are left out
-- Returns: id of the event, or of the first one with the key
-- Calls: pgq.insert_event(7)
-- Writes: pgq.event_key, the current event table
create or replace function pgq.insert_event_once(
    queue_name text, event_key text, key_window interval, ev_type text, ev_data text, ev_extra1 text default null,
    ev_extra2 text default null, ev_extra3 text default null, ev_extra4 text default null)
returns bigint as $$
#variable_conflict use_variable
declare
    _queue_id integer;
    _id bigint;
begin
    if event_key is null or key_window is null then
        raise exception 'event_key and key_window must not be NULL' using errcode = 'null_value_not_allowed';
    end if;
    select q.queue_id into _queue_id from pgq.queue q where q.queue_name = queue_name;
    if not found then
        if queue_name is null then
            raise exception 'Queue name must not be NULL';
        end if;
        raise exception 'No such queue';
    end if;

    loop
        -- without a lock or a row version, which a conflict below would cost
        select k.key_event
          into _id
          from pgq.event_key k
         where k.key_queue = _queue_id and k.key_name = event_key and k.key_until > pg_catalog.now();
        if found then
            return _id;
        end if;
        insert into pgq.event_key as k (key_queue, key_name, key_until)
        values (_queue_id, event_key, pg_catalog.now() + key_window)
        on conflict (key_queue, key_name) do update
           set key_until = excluded.key_until, key_event = null
         where k.key_until <= pg_catalog.now();
        exit when found;
        -- another transaction has written it meanwhile: the next look finds it
    end loop;
    _id := pgq.insert_event(queue_name, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4);
    update pgq.event_key k set key_event = _id where k.key_queue = _queue_id and k.key_name = event_key;
    return _id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

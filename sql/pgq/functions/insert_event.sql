-- pgq.insert_event(7)
--
-- Writes one event into a queue, with the rights of the queue's owner. Triggers and producers come through here.
-- Parameters: queue_name; the event's fields, each may be NULL
-- Returns: event id
-- Calls: pgq.insert_event_raw()
create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
begin
    return pgq.insert_event_raw(queue_name, null, now(), null, null, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3,
        ev_extra4);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq.insert_event(3)
--
-- The same without extra fields.
-- Calls: pgq.insert_event(7)
create or replace function pgq.insert_event(queue_name text, ev_type text, ev_data text)
returns bigint as $$
begin
    return pgq.insert_event(queue_name, ev_type, ev_data, null, null, null, null);
end;
$$ language plpgsql;

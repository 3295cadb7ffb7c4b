-- pgq.insert_event(7)
--
-- Writes one event into a queue, with the rights of the queue's owner. Triggers and producers come through here.
-- A search_path setting here would cost an eighth of the whole call (8 of 65 us on PostgreSQL 15). Instead all that runs
-- in here is qualified, operators and types too, or sets its own.
-- Parameters: queue_name; the event's fields, each may be NULL
-- Returns: event id
-- Calls: the function generated for the queue (pgq._generate_insert), or pgq.insert_event_raw()
create or replace function pgq.insert_event(
    queue_name text, ev_type text, ev_data text, ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
declare
    -- The xid is assigned before the snapshot that reads the queue row, see insert_event_raw.
    _id bigint := pgq._insert_dispatch(pg_catalog.hashtext(queue_name), queue_name, pg_catalog.txid_current(), ev_type,
        ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4);
begin
    if _id is null then
        _id := pgq.insert_event_raw(queue_name, null, pg_catalog.now(), null, null, ev_type, ev_data, ev_extra1, ev_extra2,
            ev_extra3, ev_extra4);
    end if;
    return _id;
end;
$$ language plpgsql security definer;

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

-- pgq.failed_event_retry(x_queue_name, x_consumer_name, x_event_id)
--
-- Puts a dead letter back into its queue, for this consumer alone, under its old id. Its retries are counted anew. Two
-- who try the same at once: one puts it back, the other finds no event.
-- Returns: event id
-- Raises: 'no such queue/consumer', 'event not found'
-- Calls: pgq._subscription_of(), pgq.insert_event_raw()
-- Writes: pgq.failed_queue, event tables
create or replace function pgq.failed_event_retry(x_queue_name text, x_consumer_name text, x_event_id bigint)
returns bigint as $$
declare
    _owner constant integer := pgq._subscription_of(x_queue_name, x_consumer_name);
    _event pgq.failed_queue;
begin
    delete from pgq.failed_queue f where f.ev_owner = _owner and f.ev_id = x_event_id returning * into _event;
    if not found then
        raise exception 'event not found';
    end if;
    return pgq.insert_event_raw(x_queue_name, _event.ev_id, _event.ev_time, _owner, 0, _event.ev_type, _event.ev_data,
        _event.ev_extra1, _event.ev_extra2, _event.ev_extra3, _event.ev_extra4);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

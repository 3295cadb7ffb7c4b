-- pgq.insert_event_at(queue_name, not_before, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
--
-- Writes an event that enters its queue at a given time, or a little later: maintenance and the tick's round move it
-- then. Until that time it costs nothing but its row. A time that has passed makes it a plain insert. The event's time
-- is that of its entry; its id is older than those around it, as with events that are retried.
-- Returns: event id
-- Calls: pgq.insert_event(7), pgq._replication_role(), pgq._check_tx_limit()
-- Writes: pgq.delayed_event, the event sequence
create or replace function pgq.insert_event_at(
    queue_name text, not_before timestamptz, ev_type text, ev_data text, ev_extra1 text default null,
    ev_extra2 text default null, ev_extra3 text default null, ev_extra4 text default null)
returns bigint as $$
#variable_conflict use_variable
declare
    _queue record;
    _id bigint;
begin
    if not_before is null then
        raise exception 'not_before must not be NULL' using errcode = 'null_value_not_allowed';
    end if;
    if not_before <= pg_catalog.clock_timestamp() then
        return pgq.insert_event(queue_name, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4);
    end if;

    select q.queue_id, q.queue_disable_insert, q.queue_per_tx_limit, q.queue_event_seq
      into _queue
      from pgq.queue q
     where q.queue_name = queue_name;
    if not found then
        if queue_name is null then
            raise exception 'Queue name must not be NULL';
        end if;
        raise exception 'No such queue';
    end if;
    if _queue.queue_disable_insert and pgq._replication_role() <> 'replica' then
        raise exception 'Insert into queue disallowed';
    end if;
    if _queue.queue_per_tx_limit >= 0 then
        perform pgq._check_tx_limit(_queue.queue_id, queue_name, _queue.queue_per_tx_limit, _queue.queue_event_seq);
    end if;
    _id := pg_catalog.nextval(_queue.queue_event_seq::regclass);
    insert into pgq.delayed_event as d (ev_not_before, ev_queue, ev_id, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3,
                                        ev_extra4)
    values (not_before, _queue.queue_id, _id, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4);
    return _id;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

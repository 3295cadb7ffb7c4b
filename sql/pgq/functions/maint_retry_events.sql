-- pgq.maint_retry_events()
--
-- Puts due events of the retry queue back into their queues, the oldest first, at most ten; one session at a time.
-- Events of queues that accept no inserts stay and wait, without holding up the others. Repeat until 0.
-- Returns: number of events moved
-- Calls: pgq.insert_event_raw()
-- Writes: pgq.retry_queue, event tables
create or replace function pgq.maint_retry_events()
returns integer as $$
declare
    _event record;
    _limits jsonb := '{}';
    _left integer;
    _moved integer := 0;
begin
    lock table pgq.retry_queue in share update exclusive mode;
    for _event in
        select r.ev_queue, r.ev_id, r.ev_time, r.ev_owner, r.ev_retry, r.ev_type, r.ev_data, r.ev_extra1, r.ev_extra2,
               r.ev_extra3, r.ev_extra4, q.queue_name, q.queue_per_tx_limit
          from pgq.retry_queue r
          join pgq.queue q on q.queue_id = r.ev_queue
         where r.ev_retry_after <= now()
           and (not q.queue_disable_insert or pg_catalog.current_setting('session_replication_role') = 'replica')
           and q.queue_per_tx_limit is distinct from 0
         order by r.ev_retry_after
         limit 10
    loop
        if _event.queue_per_tx_limit > 0 then
            _left := coalesce((_limits ->> _event.queue_name)::integer, _event.queue_per_tx_limit);
            continue when _left = 0;
            _limits := _limits || pg_catalog.jsonb_build_object(_event.queue_name, _left - 1);
        end if;
        perform pgq.insert_event_raw(_event.queue_name, _event.ev_id, _event.ev_time, _event.ev_owner, _event.ev_retry,
            _event.ev_type, _event.ev_data, _event.ev_extra1, _event.ev_extra2, _event.ev_extra3, _event.ev_extra4);
        delete from pgq.retry_queue r where r.ev_owner = _event.ev_owner and r.ev_id = _event.ev_id;
        _moved := _moved + 1;
    end loop;
    return _moved;
end;
$$ language plpgsql;

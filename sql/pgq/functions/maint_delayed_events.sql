-- pgq.maint_delayed_events()
--
-- Puts delayed events whose time has come into their queues, the oldest first, at most 1,000. Events of queues that
-- accept no inserts wait, without holding up the others. Several sessions at once share the work. Repeat until 0.
-- Returns: number of events moved
-- Calls: pgq.insert_event_raw()
-- Writes: pgq.delayed_event, event tables
create or replace function pgq.maint_delayed_events()
returns integer as $$
declare
    _event record;
    _limits jsonb := '{}';
    _left integer;
    _moved integer := 0;
begin
    for _event in
        select d.*, q.queue_name, q.queue_per_tx_limit
          from pgq.delayed_event d
          join pgq.queue q on q.queue_id = d.ev_queue
         where d.ev_not_before <= now()
           and (not q.queue_disable_insert or pg_catalog.current_setting('session_replication_role') = 'replica')
           and q.queue_per_tx_limit is distinct from 0
         order by d.ev_not_before, d.ev_id
         limit 1000
           for update of d skip locked
    loop
        if _event.queue_per_tx_limit > 0 then
            _left := coalesce((_limits ->> _event.queue_name)::integer, _event.queue_per_tx_limit);
            continue when _left = 0;
            _limits := _limits || pg_catalog.jsonb_build_object(_event.queue_name, _left - 1);
        end if;
        perform pgq.insert_event_raw(_event.queue_name, _event.ev_id, null, null, null, _event.ev_type, _event.ev_data,
            _event.ev_extra1, _event.ev_extra2, _event.ev_extra3, _event.ev_extra4);
        delete from pgq.delayed_event d where d.ev_queue = _event.ev_queue and d.ev_id = _event.ev_id;
        _moved := _moved + 1;
    end loop;
    return _moved;
end;
$$ language plpgsql;

-- pgq.event_failed(x_batch_id, x_event_id, x_reason)
--
-- Makes one event of an open batch a dead letter, whatever the policy. The event is read from the batch, never taken
-- from the caller. PgQ 2.x had this function.
-- Returns: 1 - it is one now, 0 - it was one already
-- Raises: 'event not found'
-- Calls: pgq.batch_event_sql()
-- Writes: pgq.failed_queue
create or replace function pgq.event_failed(x_batch_id bigint, x_event_id bigint, x_reason text)
returns integer as $$
declare
    _owner integer;
    _found boolean := false;
    _stored integer := 0;
begin
    select s.sub_id into _owner from pgq.subscription s where s.sub_batch = x_batch_id;
    if found then
        execute 'with event as ('
            'select * from (' || regexp_replace(pgq.batch_event_sql(x_batch_id), ' order by 1$', '') || ') e'
            ' where e.ev_id = $2 order by e.ev_retry desc nulls last limit 1'
            '), stored as ('
            'insert into pgq.failed_queue (ev_failed_reason, ev_failed_time, ev_id, ev_time, ev_owner, ev_retry, ev_type,'
            ' ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
            ' select $1, now(), ev_id, ev_time, $3, coalesce(ev_retry, 0), ev_type, ev_data, ev_extra1, ev_extra2,'
            ' ev_extra3, ev_extra4 from event'
            ' on conflict (ev_owner, ev_id) do nothing returning 1'
            ') select exists (select from event), (select count(*) from stored)'
           into _found, _stored
          using x_reason, x_event_id, _owner;
    end if;
    if not _found then
        raise exception 'event not found';
    end if;
    return _stored;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

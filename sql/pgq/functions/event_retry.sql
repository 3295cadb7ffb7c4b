-- pgq.event_retry(x_batch_id, x_event_id, x_retry_time)
--
-- Puts one event of an open batch aside, to be delivered to this consumer again. The event is read from the batch, never
-- taken from the caller. If the batch holds it twice (as new and as repeated, after the consumer was moved back), one of
-- them is put aside.
-- Parameters: x_retry_time - not before this time
-- Returns: 1 - put aside, 0 - it is waiting already
-- Calls: pgq.batch_event_sql()
-- Writes: pgq.retry_queue
create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_time timestamptz)
returns integer as $$
declare
    _sub record;
    _found boolean := false;
    _stored integer := 0;
begin
    select s.sub_id, s.sub_queue into _sub from pgq.subscription s where s.sub_batch = x_batch_id;
    if found then
        execute 'with event as ('
            'select * from (' || regexp_replace(pgq.batch_event_sql(x_batch_id), ' order by 1$', '') || ') e'
            ' where e.ev_id = $2 order by e.ev_retry desc nulls last limit 1'
            '), stored as ('
            'insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry, ev_type,'
            ' ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
            ' select $1, $4, ev_id, ev_time, $3, coalesce(ev_retry, 0) + 1, ev_type, ev_data, ev_extra1, ev_extra2,'
            ' ev_extra3, ev_extra4 from event'
            ' on conflict (ev_owner, ev_id) do nothing returning 1'
            ') select exists (select from event), (select count(*) from stored)'
           into _found, _stored
          using x_retry_time, x_event_id, _sub.sub_id, _sub.sub_queue;
    end if;
    if not _found then
        raise exception 'event not found';
    end if;
    return _stored;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq.event_retry(x_batch_id, x_event_id, x_retry_seconds)
--
-- The same, with the time given in seconds from now.
-- Calls: pgq.event_retry(bigint, bigint, timestamptz)
create or replace function pgq.event_retry(x_batch_id bigint, x_event_id bigint, x_retry_seconds integer)
returns integer as $$
begin
    return pgq.event_retry(x_batch_id, x_event_id, now() + x_retry_seconds * interval '1 second');
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq.batch_retry(i_batch_id, i_retry_seconds)
--
-- Puts all events of an open batch aside that are not waiting already. The batch must still be finished.
-- Parameters: i_retry_seconds - not before so many seconds from now
-- Returns: number of events put aside
-- Calls: pgq.get_batch_events()
-- Writes: pgq.retry_queue
create or replace function pgq.batch_retry(i_batch_id bigint, i_retry_seconds integer)
returns integer as $$
declare
    _sub record;
    _stored integer;
begin
    select s.sub_id, s.sub_queue into _sub from pgq.subscription s where s.sub_batch = i_batch_id;
    if not found then
        raise exception 'batch_retry: batch % not found', i_batch_id;
    end if;
    insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry, ev_type, ev_data,
                                 ev_extra1, ev_extra2, ev_extra3, ev_extra4)
    select distinct on (e.ev_id)
           now() + i_retry_seconds * interval '1 second', _sub.sub_queue, e.ev_id, e.ev_time, _sub.sub_id,
           coalesce(e.ev_retry, 0) + 1, e.ev_type, e.ev_data, e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4
      from pgq.get_batch_events(i_batch_id) e
     order by e.ev_id, e.ev_retry desc nulls last
    on conflict (ev_owner, ev_id) do nothing;
    get diagnostics _stored = row_count;
    return _stored;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq.event_retry_many(i_batch_id, i_event_ids, i_retry_seconds) -> int4
--
-- pgq.event_retry for many events of a batch in one statement.
--
-- Parameters:
--   i_batch_id       id of an open batch
--   i_event_ids      ids of events in it; others are ignored
--   i_retry_seconds  for each of them, the seconds to wait
-- Returns: number of events stored; those already waiting for this consumer are not counted
-- Raises: 'batch not found'
-- Calls: pgq.batch_event_sql
-- Tables written: pgq.retry_queue
create or replace function pgq.event_retry_many(
    i_batch_id int8, i_event_ids int8[], i_retry_seconds int4[])
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_sub    record;
    v_stored int4;
begin
    select s.sub_id, s.sub_queue into v_sub
      from pgq.subscription s
     where s.sub_batch = i_batch_id;
    execute
        'insert into pgq.retry_queue (ev_retry_after, ev_queue, ev_id, ev_time, ev_owner, ev_retry,'
        '       ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
        ' select now() + r.seconds * interval ''1 second'', $1, e.ev_id, e.ev_time, $2,'
        '        coalesce(e.ev_retry, 0) + 1, e.ev_type, e.ev_data,'
        '        e.ev_extra1, e.ev_extra2, e.ev_extra3, e.ev_extra4'
        '   from (' || pgq.batch_event_sql(i_batch_id) || ') e'
        '   join unnest($3, $4) r (id, seconds) on r.id = e.ev_id'
        ' on conflict (ev_owner, ev_id) do nothing'
      using v_sub.sub_queue, v_sub.sub_id, i_event_ids, i_retry_seconds;
    get diagnostics v_stored = row_count;
    return v_stored;
end;
$$;

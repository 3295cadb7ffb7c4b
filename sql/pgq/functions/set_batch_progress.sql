-- pgq.set_batch_progress(i_batch_id, i_event_id) -> int4
--
-- Records that the events of an open batch are done up to and including this one, so that
-- the next run of the consumer goes on behind it. Call it in the transaction of the effects.
--
-- Parameters:
--   i_batch_id  id of an open batch
--   i_event_id  the last ev_id that is done
-- Returns: 1 recorded, 0 no subscription has this batch open
-- Tables written: pgq.consumer_lease
create or replace function pgq.set_batch_progress(i_batch_id int8, i_event_id int8)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into pgq.consumer_lease as l (lease_queue, lease_consumer, progress_batch, progress_event)
    select s.sub_queue, s.sub_consumer, i_batch_id, i_event_id
      from pgq.subscription s
     where s.sub_batch = i_batch_id
    on conflict (lease_queue, lease_consumer) do update
       set progress_batch = excluded.progress_batch,
           progress_event = excluded.progress_event;
    return case when found then 1 else 0 end;
end;
$$;

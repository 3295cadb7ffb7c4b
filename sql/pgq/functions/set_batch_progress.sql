-- pgq.set_batch_progress(i_batch_id, i_event_id) -> int4
--
-- Records that the events of an open batch are done up to and including this one, so that
-- the next run of the consumer goes on behind it. Call it in the transaction of the effects.
-- Clears what is recorded of batches that are no longer open.
--
-- Parameters:
--   i_batch_id  id of an open batch
--   i_event_id  the last ev_id that is done
-- Returns: 1 recorded, 0 no subscription has this batch open
-- Tables written: pgq.batch_progress
create or replace function pgq.set_batch_progress(i_batch_id int8, i_event_id int8)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pgq.batch_progress p
     where not exists (select 1 from pgq.subscription s where s.sub_batch = p.batch_id);
    insert into pgq.batch_progress as p (batch_id, event_id)
    select s.sub_batch, i_event_id
      from pgq.subscription s
     where s.sub_batch = i_batch_id
    on conflict (batch_id) do update
       set event_id = excluded.event_id;
    return case when found then 1 else 0 end;
end;
$$;

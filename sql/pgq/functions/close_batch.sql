-- pgq.close_batch(i_batch_id) -> bool
--
-- pgq.finish_batch for consumers that commit in the same message: a batch that is no longer
-- open is an error, so that the work is rolled back.
--
-- Parameters:
--   i_batch_id  id of the batch, of an ordinary consumer or of a member of a group
-- Returns: whether the queue has ticks behind this batch
-- Raises: 'batch <id> is not open'
-- Calls: pgq.finish_batch
-- Tables written: pgq.subscription
create or replace function pgq.close_batch(i_batch_id int8)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_queue int4;
    v_tick  int8;
begin
    select s.sub_queue, s.sub_next_tick
      into v_queue, v_tick
      from pgq.subscription s
     where s.sub_batch = i_batch_id
       for update;
    if not found then
        raise exception 'batch % is not open', i_batch_id;
    end if;
    perform pgq.finish_batch(i_batch_id);
    return exists (select 1 from pgq.tick t where t.tick_queue = v_queue and t.tick_id > v_tick);
end;
$$;

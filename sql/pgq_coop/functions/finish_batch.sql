-- pgq_coop.finish_batch(i_batch_id) -> int4
--
-- Closes a member's batch. It does not ask who calls: see pgq_coop.finish_owned_batch.
--
-- Parameters:
--   i_batch_id  id of the batch
-- Returns: 1 closed; 0 with a WARNING when no subscription has this batch open
-- Tables written: pgq.subscription
create or replace function pgq_coop.finish_batch(i_batch_id int8)
returns int4
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq.subscription
       set sub_active = now(),
           sub_last_tick = null,
           sub_next_tick = null,
           sub_batch = null
     where sub_batch = i_batch_id;
    if not found then
        raise warning 'coop_finish_batch: batch % not found', i_batch_id;
        return 0;
    end if;
    return 1;
end;
$$;

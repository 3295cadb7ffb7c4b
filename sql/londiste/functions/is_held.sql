-- londiste.is_held(i_queue_name, i_table_name) -> bool
--
-- Whether a subscribed table stands behind its node because its events could not be applied: it
-- was exact at its copy's position, and catches up from there once its fault is mended. Its state
-- is 'catching-up', as for a copy whose rows are all here; its job has no tick yet from which on
-- the table may be handed over.
create or replace function londiste.is_held(
    i_queue_name text,
    i_table_name text)
returns boolean
language sql
stable
as $$
    select exists (
        select 1
          from londiste.table_info t
          join londiste.copy_job j on j.queue_name = t.queue_name and j.table_name = t.table_name
         where t.queue_name = i_queue_name
           and t.table_name = i_table_name
           and t.local
           and t.merge_state = 'catching-up'
           and j.until_tick is null)
$$;

-- pgq_node.set_consumer_completed(i_queue_name, i_consumer_name, i_tick_id)
--   -> (ret_code, ret_note)
--
-- The checkpoint of a cascaded consumer: called in the transaction that applied the batch ending
-- at i_tick_id. Moves in any direction, and clears the stored error.
--
-- Returns: 100 'Consumer <consumer> completed tick = <tick>'
--   404 'Consumer not known: <queue>/<consumer>'
-- Tables written: pgq_node.local_state
create or replace function pgq_node.set_consumer_completed(
    in i_queue_name text,
    in i_consumer_name text,
    in i_tick_id int8,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq_node.local_state s
       set last_tick_id = i_tick_id,
           cur_error = null
     where s.queue_name = i_queue_name
       and s.consumer_name = i_consumer_name;
    if not found then
        ret_code := 404;
        ret_note := format('Consumer not known: %s/%s', i_queue_name, i_consumer_name);
        return;
    end if;
    ret_code := 100;
    ret_note := format('Consumer %s completed tick = %s', i_consumer_name, i_tick_id);
end;
$$;

-- pgq_node.set_consumer_error(i_queue_name, i_consumer_name, i_error_msg)
--   -> (ret_code, ret_note)
--
-- Stores (or with NULL clears) the error that keeps a cascaded consumer from going on.
--
-- Returns: 100 'Consumer <consumer> error = <message>'; the note is NULL when clearing
--   101 'Consumer not known, ignoring: <queue>/<consumer>'
-- Tables written: pgq_node.local_state
create or replace function pgq_node.set_consumer_error(
    in i_queue_name text,
    in i_consumer_name text,
    in i_error_msg text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq_node.local_state s
       set cur_error = i_error_msg
     where s.queue_name = i_queue_name
       and s.consumer_name = i_consumer_name;
    if not found then
        ret_code := 101;
        ret_note := format('Consumer not known, ignoring: %s/%s', i_queue_name, i_consumer_name);
        return;
    end if;
    ret_code := 100;
    ret_note := 'Consumer ' || i_consumer_name || ' error = ' || i_error_msg;
end;
$$;

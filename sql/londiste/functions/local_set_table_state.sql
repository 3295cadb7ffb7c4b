-- londiste.local_set_table_state(i_queue_name, i_table_name, i_snapshot, i_merge_state)
--   -> (ret_code, ret_note)
--
-- Sets the state of a subscribed table and the snapshot of its copy, both. NULL and NULL asks for
-- a new copy.
--
-- Returns: 200 'Table <table> state set to <quoted state or NULL>'
--   404 'No such table: <table>'
-- Tables written: londiste.table_info
create or replace function londiste.local_set_table_state(
    in i_queue_name text,
    in i_table_name text,
    in i_snapshot text,
    in i_merge_state text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
as $$
declare
    v_name text := londiste.make_fqname(i_table_name);
begin
    update londiste.table_info t
       set custom_snapshot = i_snapshot,
           merge_state = i_merge_state
     where t.queue_name = i_queue_name
       and t.table_name = v_name
       and t.local;
    if not found then
        ret_code := 404;
        ret_note := format('No such table: %s', v_name);
        return;
    end if;
    ret_code := 200;
    ret_note := format('Table %s state set to %L', v_name, i_merge_state);
end;
$$;

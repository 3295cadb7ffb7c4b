-- londiste.global_remove_table(i_queue_name, i_table_name) -> (ret_code, ret_note)
--
-- Forgets a table of the set; outside the root its subscription on this node ends first.
--
-- Returns: 200 'Table removed: <name as given>'
--   400 'Table not found: <table>'
-- Calls: londiste.local_remove_table
-- Tables written: londiste.table_info
create or replace function londiste.global_remove_table(
    in i_queue_name text,
    in i_table_name text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
strict
as $$
declare
    v_name text := londiste.make_fqname(i_table_name);
begin
    if not pgq_node.is_root_node(i_queue_name) then
        perform londiste.local_remove_table(i_queue_name, v_name);
    end if;
    delete from londiste.table_info t
     where t.queue_name = i_queue_name
       and t.table_name = v_name;
    if not found then
        ret_code := 400;
        ret_note := format('Table not found: %s', v_name);
        return;
    end if;
    ret_code := 200;
    ret_note := format('Table removed: %s', i_table_name);
end;
$$;

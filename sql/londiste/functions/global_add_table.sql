-- londiste.global_add_table(i_queue_name, i_table_name) -> (ret_code, ret_note)
--
-- Makes a table known as a member of the set, without subscribing it. A leaf makes it known in its
-- combined queue too.
--
-- Returns: 200 'Table added: <name as given>', 'Table already added: <table>'
--   400 'No such queue: <queue>'
-- Tables written: londiste.table_info
create or replace function londiste.global_add_table(
    in i_queue_name text,
    in i_table_name text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
strict
as $$
declare
    v_name     text := londiste.make_fqname(i_table_name);
    v_combined text;
    v_new      boolean;
begin
    select n.combined_queue
      into v_combined
      from pgq_node.node_info n
     where n.queue_name = i_queue_name
       for no key update;
    if not found then
        ret_code := 400;
        ret_note := format('No such queue: %s', i_queue_name);
        return;
    end if;

    insert into londiste.table_info (queue_name, table_name)
    values (i_queue_name, v_name)
    on conflict on constraint table_info_pkey do nothing;
    v_new := found;
    if v_new and v_combined is not null then
        perform londiste.global_add_table(v_combined, v_name);
    end if;

    ret_code := 200;
    ret_note := case when v_new then format('Table added: %s', i_table_name)
                     else format('Table already added: %s', v_name) end;
end;
$$;

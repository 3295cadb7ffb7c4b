-- londiste.restore_triggers(i_queue_name, i_table_name) -> (ret_code, ret_note)
--
-- Makes the triggers of a subscribed table again, as they were made when it was subscribed. What
-- changed while they were missing is not in the queue: the subscribers need a new copy.
--
-- Returns: 200 'Triggers restored: <table>'
--   201 'Trigger not created' (the table was subscribed without triggers)
--   404 'no such local table: <table>', or the codes of create_trigger
-- Calls: londiste.create_trigger
create or replace function londiste.restore_triggers(
    in i_queue_name text,
    in i_table_name text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
strict
as $$
declare
    v_table record;
begin
    select t.table_name, coalesce(t.dest_table, t.table_name) as dest, n.node_type, a.trg_args
      into v_table
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
      left join londiste.trigger_args a
        on a.queue_name = t.queue_name and a.table_name = t.table_name
     where t.queue_name = i_queue_name
       and t.table_name = londiste.make_fqname(i_table_name)
       and t.local;
    if not found then
        ret_code := 404;
        ret_note := format('no such local table: %s', i_table_name);
        return;
    end if;

    select c.ret_code, c.ret_note
      into ret_code, ret_note
      from londiste.create_trigger(i_queue_name, v_table.table_name, v_table.trg_args,
                                   v_table.dest, v_table.node_type) c;
    if ret_code = 200 then
        ret_note := format('Triggers restored: %s', v_table.table_name);
    end if;
end;
$$;

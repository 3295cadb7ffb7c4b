-- londiste.local_change_handler(i_queue_name, i_table_name, i_trg_args, i_table_attrs)
--   -> (ret_code, ret_note)
--
-- Stores new attributes for a subscribed table and makes its triggers anew from the arguments
-- given now. With no_triggers those that are there stay. A failure leaves nothing behind.
--
-- Parameters: as in local_add_table; the table's name must be complete
-- Returns: 200 'Handler changed for table: <table>',
--     'Table handler updated with no triggers: <table>'
--   400 'No such set: <queue>'
--   404 'no such local table: <table>'
--   403, 405 'Trigger creation failed for table <table>: <reason>'
-- Calls: londiste.create_trigger, _store_trigger_args
-- Tables written: londiste.table_info, londiste.trigger_args
create or replace function londiste.local_change_handler(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_table_attrs text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
as $$
declare
    v_type    text;
    v_dest    text;
    v_shown   text;
    v_trigger record;
begin
    select n.node_type into v_type from pgq_node.node_info n where n.queue_name = i_queue_name;
    if not found then
        ret_code := 400;
        ret_note := format('No such set: %s', i_queue_name);
        return;
    end if;

    update londiste.table_info t
       set table_attrs = i_table_attrs
     where t.queue_name = i_queue_name
       and t.table_name = i_table_name
       and t.local
    returning coalesce(t.dest_table, t.table_name) into v_dest;
    if not found then
        ret_code := 404;
        ret_note := format('no such local table: %s', i_table_name);
        return;
    end if;
    v_shown := i_table_name
        || case when v_dest <> i_table_name then format('(%s)', v_dest) else '' end;

    select c.ret_code, c.ret_note
      into v_trigger
      from londiste.create_trigger(i_queue_name, i_table_name, i_trg_args, v_dest, v_type) c;
    if v_trigger.ret_code > 299 then
        ret_code := v_trigger.ret_code;
        ret_note := format('Trigger creation failed for table %s: %s', v_shown, v_trigger.ret_note);
        raise exception using errcode = 'LDRBK';
    end if;
    perform londiste._store_trigger_args(i_queue_name, i_table_name, i_trg_args);
    ret_code := 200;
    ret_note := format(case v_trigger.ret_code
                           when 201 then 'Table handler updated with no triggers: %s'
                           else 'Handler changed for table: %s' end, v_shown);
exception when sqlstate 'LDRBK' then
    -- Only the work is undone, the answer stays.
    null;
end;
$$;

-- londiste._add_table(i_queue_name, i_table_name, i_trg_args, i_table_attrs, i_dest_table)
--   -> (ret_code, ret_note)
--
-- The work of local_add_table, which see for arguments and codes, without its undoing of
-- failures.
--
-- A table of a leaf may come from several sets: the siblings are the leaves of this database that
-- merge into the same combined queue (or into none). With a combined queue the table is
-- subscribed there as well.
--
-- Calls: londiste.global_add_table, root_notify_change, local_add_table, create_trigger,
--   _trigger_before, _store_trigger_args
-- Tables written: londiste.table_info, londiste.trigger_args
create or replace function londiste._add_table(
    in i_queue_name text,
    in i_table_name text,
    in i_trg_args text[],
    in i_table_attrs text,
    in i_dest_table text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
as $$
declare
    v_args      text[] := coalesce(i_trg_args, '{}');
    v_virtual   boolean := 'virtual_table' = any (v_args);
    v_insync    boolean := v_virtual or 'expect_sync' = any (v_args);
    v_merge_all boolean := 'merge_all' = any (v_args);
    v_no_merge  boolean := 'no_merge' = any (v_args);
    v_attrs     text := i_table_attrs;
    v_name      text := londiste.make_fqname(i_table_name);
    v_dest      text := londiste.make_fqname(coalesce(i_dest_table, i_table_name));
    v_shown     text;
    v_node      record;
    v_row       record;
    v_other     record;
    v_state     text;
    v_trigger   record;
    v_first     text;
begin
    v_shown := v_name || case when v_dest <> v_name then format('(%s)', v_dest) else '' end;
    if 'skip_truncate' = any (v_args) then
        v_attrs := concat_ws('&', nullif(v_attrs, ''), 'skip_truncate=1');
    end if;
    if v_merge_all and v_no_merge then
        ret_code := 405;
        ret_note := 'Cannot use merge-all and no-merge together';
        return;
    end if;

    if not v_virtual then
        if londiste.find_table_oid(v_dest) is null then
            ret_code := 404;
            ret_note := format('Table does not exist: %s', v_shown);
            return;
        end if;
        -- A merged copy in progress may have taken the key off.
        if strpos(londiste.find_column_types(v_dest), 'k') = 0 and not exists (
            select 1 from londiste.table_info t
             where coalesce(t.dest_table, t.table_name) = v_dest
               and t.dropped_ddl is not null
        ) then
            ret_code := 400;
            ret_note := format('Primary key missing on table: %s', v_shown);
            return;
        end if;
    end if;

    select n.node_type, n.combined_queue, c.node_type as combined_type
      into v_node
      from pgq_node.node_info n
      left join pgq_node.node_info c on c.queue_name = n.combined_queue
     where n.queue_name = i_queue_name;
    if not found then
        ret_code := 400;
        ret_note := format('No such set: %s', i_queue_name);
        return;
    end if;

    -- Second pass after the registration on a root.
    for v_pass in 1 .. 2 loop
        select t.local, t.table_attrs
          into v_row
          from londiste.table_info t
         where t.queue_name = i_queue_name
           and t.table_name = v_name
           for update;
        exit when found;
        if v_node.node_type <> 'root' or v_pass = 2 then
            ret_code := 404;
            ret_note := format('Table not available on queue: %s', v_shown);
            return;
        end if;
        perform londiste.global_add_table(i_queue_name, v_name);
    end loop;

    if v_row.local then
        if v_attrs is distinct from v_row.table_attrs then
            ret_code := 410;
            ret_note := format('Table %s already added, but with different args: %s',
                               v_shown, coalesce(v_row.table_attrs, ''));
        else
            ret_code := 200;
            ret_note := format('Table already added: %s', v_shown);
        end if;
        return;
    end if;

    if v_node.node_type = 'root' or v_insync
       or v_node.node_type = 'leaf' and v_node.combined_type = 'branch' then
        v_state := 'ok';
    end if;
    update londiste.table_info t
       set local = true,
           merge_state = v_state,
           table_attrs = coalesce(v_attrs, t.table_attrs),
           dest_table = nullif(v_dest, v_name)
     where t.queue_name = i_queue_name
       and t.table_name = v_name;
    if v_node.node_type = 'root' then
        perform londiste.root_notify_change(i_queue_name, 'londiste.add-table', v_name);
    end if;

    if v_node.node_type = 'leaf' and not v_no_merge then
        for v_other in
            select t.queue_name, t.table_name, t.local, n.node_type
              from londiste.table_info t
              join pgq_node.node_info n on n.queue_name = t.queue_name
             where t.queue_name <> i_queue_name
               and coalesce(t.dest_table, t.table_name) = v_dest
               and n.combined_queue is not distinct from v_node.combined_queue
               and (t.local or n.node_type = 'leaf')
             order by t.queue_name, t.table_name
               for update of t
        loop
            if v_state is distinct from 'ok' then
                if v_other.local then
                    ret_code := 405;
                    ret_note := format('Found local table %s in queue %s, use remove-table first to'
                                       ' remove all previous table subscriptions',
                                       v_shown, v_other.queue_name);
                    return;
                elsif not v_merge_all then
                    ret_code := 405;
                    ret_note := format('Found multiple sources for table %s, use merge-all or'
                                       ' no-merge to continue', v_shown);
                    return;
                end if;
            end if;
            update londiste.table_info t
               set local = true,
                   merge_state = v_state,
                   table_attrs = coalesce(v_attrs, t.table_attrs)
             where t.queue_name = v_other.queue_name
               and t.table_name = v_other.table_name;
        end loop;

        if v_node.combined_type in ('root', 'branch') and not exists (
            select 1 from londiste.table_info t
             where t.queue_name = v_node.combined_queue
               and t.table_name = v_name
               and t.local
        ) then
            select a.ret_code, a.ret_note
              into ret_code, ret_note
              from londiste._add_table(v_node.combined_queue, v_name, v_args, i_table_attrs,
                                       v_dest) a;
            if ret_code >= 400 then
                return;
            end if;
        end if;
    end if;

    perform londiste._store_trigger_args(i_queue_name, v_name, v_args);
    if v_virtual then
        ret_code := 200;
        ret_note := format('Table added with no triggers: %s', v_shown);
        return;
    end if;
    select c.ret_code, c.ret_note, c.trigger_name
      into v_trigger
      from londiste.create_trigger(i_queue_name, v_name, v_args, v_dest, v_node.node_type) c;
    if v_trigger.ret_code > 299 then
        ret_code := v_trigger.ret_code;
        ret_note := format('Trigger creation failed for table %s: %s', v_shown, v_trigger.ret_note);
        return;
    end if;
    ret_code := 200;
    if v_trigger.ret_code = 201 then
        ret_note := format('Table added with no triggers: %s', v_shown);
        return;
    end if;
    ret_note := format('Table added: %s', v_shown);
    if v_node.node_type <> 'leaf' then
        v_first := londiste._trigger_before(v_dest, v_trigger.trigger_name);
        if v_first is not null then
            ret_code := 301;
            ret_note := ret_note || format(', but its trigger is not the first: %s', v_first);
        end if;
    end if;
end;
$$;

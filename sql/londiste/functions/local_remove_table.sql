-- londiste.local_remove_table(i_queue_name, i_table_name) -> (ret_code, ret_note)
--
-- Ends the subscription of a table on this node; on a root it leaves the set. The triggers of
-- this queue go, the table stays. A table that a copy left without its indexes is emptied and gets
-- them back; one that other sets fill as well keeps its rows, and a copy of those puts them back.
-- Sequences that its columns own are removed as well.
--
-- Returns: 200 'Table removed: <table>'
--   400 'Table not found: <table>', 'Table not registered locally: <table>' (not on a root)
-- Calls: londiste.drop_table_triggers, merged_siblings, _hand_on_structure, local_remove_seq, global_remove_table, root_notify_change
-- Tables written: londiste.table_info, londiste.trigger_args
create or replace function londiste.local_remove_table(
    in i_queue_name text,
    in i_table_name text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
strict
as $$
declare
    v_name  text := londiste.make_fqname(i_table_name);
    v_root  boolean;
    v_row   record;
    v_table oid;
    v_merge record;
    v_seq   text;
begin
    select t.local, t.dropped_ddl, coalesce(t.dest_table, t.table_name) as dest
      into v_row
      from londiste.table_info t
     where t.queue_name = i_queue_name
       and t.table_name = v_name
       for update;
    if not found then
        ret_code := 400;
        ret_note := format('Table not found: %s', v_name);
        return;
    end if;
    v_root := pgq_node.is_root_node(i_queue_name);
    if not v_row.local and not v_root then
        ret_code := 400;
        ret_note := format('Table not registered locally: %s', v_name);
        return;
    end if;

    if v_row.local then
        perform londiste.drop_table_triggers(i_queue_name, v_name);
        v_table := londiste.find_table_oid(v_row.dest);
        select count(s.merge_state) as filled,
               min(s.job_id) filter (where s.merge_state in ('in-copy', 'catching-up')) as heir
          into v_merge
          from londiste.merged_siblings(i_queue_name, v_name) s;
        if v_row.dropped_ddl is not null and v_merge.heir is not null then
            perform londiste._hand_on_structure(array_agg(j.job_id), v_merge.heir)
               from londiste.copy_job j
              where j.queue_name = i_queue_name
                and j.table_name = v_name;
        elsif v_row.dropped_ddl is not null and v_table is not null then
            if v_merge.filled = 0 then
                execute format('truncate %s%s',
                               case when londiste.find_rel_oid(v_row.dest, 'p') is null then 'only '
                                    else '' end,
                               v_table::regclass);
            end if;
            execute v_row.dropped_ddl;
        end if;
        update londiste.table_info t
           set local = false,
               merge_state = null,
               custom_snapshot = null,
               dropped_ddl = null,
               table_attrs = null,
               dest_table = null
         where t.queue_name = i_queue_name
           and t.table_name = v_name;
        delete from londiste.trigger_args a
         where a.queue_name = i_queue_name
           and a.table_name = v_name;

        for v_seq in
            select n.nspname || '.' || s.relname
              from pg_catalog.pg_attribute a
              join pg_catalog.pg_depend d
                on d.refclassid = 'pg_catalog.pg_class'::regclass
               and d.refobjid = a.attrelid
               and d.refobjsubid = a.attnum
               and d.classid = 'pg_catalog.pg_class'::regclass
               and d.deptype in ('a', 'i')
              join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
              join pg_catalog.pg_namespace n on n.oid = s.relnamespace
             where a.attrelid = v_table
               and a.attnum > 0
               and a.atttypid in ('int4'::regtype, 'int8'::regtype)
             order by a.attnum
        loop
            perform londiste.local_remove_seq(i_queue_name, v_seq);
        end loop;
    end if;

    if v_root then
        perform londiste.global_remove_table(i_queue_name, v_name);
        perform londiste.root_notify_change(i_queue_name, 'londiste.remove-table', v_name);
    end if;
    ret_code := 200;
    ret_note := format('Table removed: %s', v_name);
end;
$$;

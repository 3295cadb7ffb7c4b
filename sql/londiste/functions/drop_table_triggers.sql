-- londiste.drop_table_triggers(i_queue_name, i_table_name) -> void
--
-- Drops from the real table all triggers that write into this queue, whatever their names.
create or replace function londiste.drop_table_triggers(i_queue_name text, i_table_name text)
returns void
language plpgsql
strict
as $$
declare
    v_table oid;
    v_name  text;
begin
    v_table := londiste.find_table_oid(coalesce(
        (select t.dest_table
           from londiste.table_info t
          where t.queue_name = i_queue_name
            and t.table_name = i_table_name),
        i_table_name));
    -- The clones on the partitions of a partitioned table go with their original.
    for v_name in
        select t.name
          from londiste._queue_triggers(v_table) t
         where t.queue_name = i_queue_name
           and not t.inherited
    loop
        execute format('drop trigger %I on %s', v_name, v_table::regclass);
    end loop;
end;
$$;

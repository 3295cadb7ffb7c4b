-- londiste.drop_table_triggers(i_queue_name, i_table_name) -> void
--
-- Drops from the real table all triggers that write into this queue, whatever their names.
--
-- Calls: londiste._drop_queue_triggers
create or replace function londiste.drop_table_triggers(i_queue_name text, i_table_name text)
returns void
language sql
strict
as $$
    select londiste._drop_queue_triggers(
        londiste.find_table_oid(coalesce((select t.dest_table
                                            from londiste.table_info t
                                           where t.queue_name = i_queue_name
                                             and t.table_name = i_table_name),
                                         i_table_name)),
        i_queue_name, '')
$$;

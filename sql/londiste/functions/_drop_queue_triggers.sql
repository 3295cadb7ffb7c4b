-- londiste._drop_queue_triggers(i_table, i_queue_name, i_pattern) -> void
--
-- Drops the triggers of a table that write into a queue and whose names match, and the functions
-- of those that pgq.create_fast_trigger generated. The clones on the partitions of a partitioned
-- table go with their original.
--
-- Calls: londiste._queue_triggers, pgq.drop_fast_trigger
create or replace function londiste._drop_queue_triggers(
    i_table regclass, i_queue_name text, i_pattern text)
returns void
language plpgsql
strict
as $$
declare
    v_name text;
begin
    for v_name in
        select t.name
          from londiste._queue_triggers(i_table) t
         where t.queue_name = i_queue_name
           and t.name ~ i_pattern
           and not t.inherited
    loop
        -- A generated function's first trigger takes the others along.
        if pgq.drop_fast_trigger(i_table, v_name) = 0 then
            execute format('drop trigger if exists %I on %s', v_name, i_table);
        end if;
    end loop;
end;
$$;

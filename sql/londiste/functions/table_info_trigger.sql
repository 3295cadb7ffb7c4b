-- londiste.table_info_trigger() -> trigger
--
-- Before a row of table_info is deleted: the table loses its triggers for that queue.
--
-- Calls: londiste.drop_table_triggers
create or replace function londiste.table_info_trigger()
returns trigger
language plpgsql
as $$
begin
    perform londiste.drop_table_triggers(old.queue_name, old.table_name);
    return old;
end;
$$;

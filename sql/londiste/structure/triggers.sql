-- A table that leaves the set loses its triggers, also when its node is dropped.
do $$
begin
    if not exists (
        select 1 from pg_catalog.pg_trigger t
         where t.tgrelid = 'londiste.table_info'::regclass
           and t.tgname = 'table_info_trigger_sync'
    ) then
        create trigger table_info_trigger_sync
            before delete on londiste.table_info
            for each row execute procedure londiste.table_info_trigger();
    end if;
end;
$$;

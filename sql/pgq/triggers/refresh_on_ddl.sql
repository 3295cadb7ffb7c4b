-- pgq._refresh_or_tell(i_table regclass)
--
-- Purpose:    writes a table's generated triggers again, for the sake of speed only: where that fails, because they are
--             another role's for example, they go on capturing as they are and a notice says so.
-- Parameters: i_table - the table
-- Returns:    -
-- Calls:      pgq.refresh_fast_triggers
-- Tables:     -
create or replace function pgq._refresh_or_tell(i_table regclass)
returns void language plpgsql as $$
begin
  perform pgq.refresh_fast_triggers(i_table);
exception
  when others then
    raise notice 'generated triggers of table "%" are not written again and may be slow: %', i_table, sqlerrm
      using hint = 'Have their owner run pgq.refresh_fast_triggers().';
end;
$$;

-- pgq._refresh_on_ddl()
--
-- Purpose:    event trigger that writes generated triggers again at the end of an ALTER TABLE. It runs with the rights of
--             whoever alters the table, and where these do not suffice the trigger works through the classic one. Only a
--             superuser can make it; without it, call pgq.refresh_fast_triggers().
-- Parameters: -
-- Returns:    -
-- Calls:      pgq._refresh_or_tell
-- Tables:     reads pg_trigger, pg_proc
create or replace function pgq._refresh_on_ddl()
returns event_trigger language plpgsql as $$
declare
  target oid;
begin
  for target in
    select distinct c.objid from pg_catalog.pg_event_trigger_ddl_commands() c
      join pg_catalog.pg_trigger t on t.tgrelid = c.objid
      join pg_catalog.pg_proc p on p.oid = t.tgfoid and pg_catalog.starts_with(p.proname, '_pgq_fast_')
     where c.classid = 'pg_catalog.pg_class'::regclass
  loop
    perform pgq._refresh_or_tell(target);
  end loop;
end;
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_event_trigger where evtname = 'pgq_refresh_fast_triggers') then
    create event trigger pgq_refresh_fast_triggers on ddl_command_end when tag in ('ALTER TABLE')
      execute function pgq._refresh_on_ddl();
  end if;
exception
  when insufficient_privilege then
    null;
end;
$$;

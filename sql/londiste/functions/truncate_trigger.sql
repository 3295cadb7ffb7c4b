-- londiste.truncate_trigger('queue', 'table name') -> trigger
--
-- AFTER TRUNCATE trigger of a table that has another name in the queue: writes the event R under
-- that name. Where the names are equal pgq.sqltriga does the same.
--
-- Calls: pgq.insert_event, pgq._replication_role
create or replace function londiste.truncate_trigger()
returns trigger
language plpgsql
as $$
begin
    -- In the real role replica only a trigger that is enabled for it comes here; the emulated one
    -- fires every trigger.
    if current_setting('session_replication_role') = 'replica'
       or pgq._replication_role() = 'origin' then
        perform pgq.insert_event(tg_argv[0], 'R', '', tg_argv[1], null, null, null);
    end if;
    return null;
end;
$$;

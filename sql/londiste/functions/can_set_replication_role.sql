-- londiste.can_set_replication_role() -> bool
--
-- Which way does set_session_replication_role() go here?
--
-- Returns: true: PostgreSQL's own session_replication_role, as the caller or as the owner of this
--            schema; no ordinary trigger fires during replay
--   false: the emulation; queues and their triggers honour it, but foreign keys and users'
--            triggers on subscribed tables do fire during replay
-- Calls: londiste._replication_role_as_owner
create or replace function londiste.can_set_replication_role()
returns boolean
language plpgsql
as $$
begin
    -- Setting the value in force changes nothing, and needs the same right as any other. Some
    -- managed services grant it in ways that no catalog shows.
    perform pg_catalog.set_config('session_replication_role',
                                  pg_catalog.current_setting('session_replication_role'), true);
    return true;
exception when insufficient_privilege then
    return londiste._replication_role_as_owner(null, true);
end;
$$;

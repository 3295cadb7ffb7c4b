-- londiste.set_session_replication_role(val, is_local) -> void
--
-- replica: for replay and for writing into the queue of a branch; local: for EXECUTE, so that
-- what a script changes makes no events; origin: normal work.
--
-- Where neither the caller nor the owner of this schema may set session_replication_role, the
-- setting skytools.replication_role takes its place: pgq's functions and triggers honour it for
-- sessions that may write the event tables (members of pgq_admin). Other triggers and foreign
-- keys know nothing of it: see can_set_replication_role().
--
-- Parameters:
--   val       origin, replica or local
--   is_local  true: until the end of the transaction, the only way behind a transaction pooler
-- Raises: 'bad value for session_replication_role'
-- Calls: londiste._replication_role_as_owner
create or replace function londiste.set_session_replication_role(val text, is_local boolean)
returns void
language plpgsql
as $$
declare
    v_native boolean := true;
begin
    if val is null or val not in ('origin', 'replica', 'local') then
        raise exception 'bad value for session_replication_role';
    end if;

    begin
        perform pg_catalog.set_config('session_replication_role', val, is_local);
    exception when insufficient_privilege then
        v_native := londiste._replication_role_as_owner(val, is_local);
    end;
    perform pg_catalog.set_config('skytools.replication_role',
                                  case when v_native then '' else val end, is_local);
end;
$$;

-- londiste._replication_role_as_owner(val, is_local) -> bool
--
-- Sets session_replication_role with the rights of the owner of this schema; val NULL only asks
-- whether that is possible.
--
-- Returns: false when the owner may not set it either
create or replace function londiste._replication_role_as_owner(val text, is_local boolean)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if val is not null and val not in ('origin', 'replica', 'local') then
        raise exception 'bad value for session_replication_role';
    end if;
    perform set_config('session_replication_role',
                       coalesce(val, current_setting('session_replication_role')), is_local);
    return true;
exception when insufficient_privilege then
    return false;
end;
$$;

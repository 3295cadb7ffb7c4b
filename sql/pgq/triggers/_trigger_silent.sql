-- pgq._trigger_silent(i_table oid, i_trigger text)
--
-- Purpose:    where the right to set session_replication_role is missing, it is emulated by the setting
--             skytools.replication_role; PostgreSQL then fires triggers that the real one would hold back.
-- Parameters: i_table, i_trigger - the trigger
-- Returns:    true if the trigger would not have done anything: role local, or role replica and a trigger of the origin
-- Calls:      pgq._replication_role
-- Tables:     reads pg_trigger
create or replace function pgq._trigger_silent(i_table oid, i_trigger text)
returns bool language plpgsql stable as $$
declare
  role constant text := pgq._replication_role();
begin
  if role = 'replica' and pg_catalog.current_setting('session_replication_role') = 'origin' then
    return (select t.tgenabled = 'O' from pg_catalog.pg_trigger t where t.tgrelid = i_table and t.tgname = i_trigger);
  end if;
  return role = 'local';
end;
$$;

-- londiste._trigger_before(i_table_name, i_trigger_name) -> text
--
-- Name of a user's AFTER row trigger that fires before the given one for the same kind of change,
-- or NULL. What such a trigger changes in turn gets its events before the change that caused it.
create or replace function londiste._trigger_before(i_table_name text, i_trigger_name text)
returns text
language sql
strict stable
as $$
    -- Bits of tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 64 instead of.
    select min(other.tgname::text)
      from pg_catalog.pg_trigger own
      join pg_catalog.pg_trigger other on other.tgrelid = own.tgrelid
     where own.tgrelid = londiste.find_table_oid(i_table_name)
       and own.tgname = i_trigger_name
       and own.tgtype & 67 = 1
       and other.tgtype & 67 = 1
       and other.tgtype & own.tgtype & 28 <> 0
       and other.tgname < own.tgname
       and not other.tgisinternal
       and other.tgenabled in ('O', 'A')
       and not londiste.is_replica_func(other.tgfoid)
$$;

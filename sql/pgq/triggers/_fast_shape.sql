-- pgq._fast_shape(i_table regclass)
--
-- Purpose:    fingerprint of all that a generated trigger knows of its table: its name, columns, types, collations, key.
--             Declared immutable, which it is not, so that PostgreSQL evaluates it when it plans the expression that
--             calls it with a constant, and not again before that plan is thrown away. The constant of type regclass
--             makes the plan depend on the table: any ALTER TABLE, in any session, throws it away, as the renaming of a
--             schema does with every plan. So the check for
--             staleness in a generated trigger is exact and costs nothing. (Catalogs are read by a volatile function,
--             which takes a snapshot of its own; generated triggers ask only under READ COMMITTED.)
-- Parameters: i_table - the table
-- Returns:    the fingerprint
-- Calls:      pgq._table_shape
-- Tables:     reads pg_class, pg_attribute, pg_index
create or replace function pgq._fast_shape(i_table regclass)
returns text language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  shape constant record := pgq._table_shape(i_table::oid);
begin
  return (
    select pg_catalog.md5(pg_catalog.concat(shape, n.nspname, '.', c.relname))
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = i_table);
end;
$$;

-- pgq._fast_events(i_events regclass)
--
-- Purpose:    whether the queue's tables are still there, evaluated at planning in the same way: a statement that names
--             a dropped table cannot be planned.
-- Parameters: i_events - the parent of the queue's event tables
-- Returns:    its name, an empty string once it is dropped
-- Calls:      -
-- Tables:     reads pg_class, pg_namespace
create or replace function pgq._fast_events(i_events regclass)
returns text language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce((
    select pg_catalog.format('%I.%I', n.nspname, c.relname)
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = i_events), '');
end;
$$;

-- pgq._fast_role()
--
-- Purpose:    session_replication_role, evaluated at planning in the same way: PostgreSQL throws all plans away when it is
--             set.
-- Parameters: -
-- Returns:    origin, replica or local
-- Calls:      -
-- Tables:     -
create or replace function pgq._fast_role()
returns text language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return pg_catalog.current_setting('session_replication_role');
end;
$$;

-- pgq._fast_shape(i_table regclass)
--
-- Purpose:    fingerprint of all that a generated trigger knows of its table: columns, types, collations, key.
--             Declared immutable, which it is not, so that PostgreSQL evaluates it when it plans the expression that
--             calls it with a constant, and not again before that plan is thrown away. The constant of type regclass
--             makes the plan depend on the table: any ALTER TABLE, in any session, throws it away. So the check for
--             staleness in a generated trigger is exact and costs nothing. (Catalogs are read by a volatile function,
--             which takes a snapshot of its own; generated triggers ask only under READ COMMITTED.)
-- Parameters: i_table - the table
-- Returns:    the fingerprint
-- Calls:      pgq._table_shape
-- Tables:     reads pg_class, pg_attribute, pg_index
create or replace function pgq._fast_shape(i_table regclass)
returns text language plpgsql immutable as $$
declare
  shape constant record := pgq._table_shape(i_table::oid);
begin
  return pg_catalog.md5(shape::text);
end;
$$;

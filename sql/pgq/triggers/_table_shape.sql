-- pgq._table_shape(i_table oid)
--
-- Purpose:    what a trigger needs to know of its table. Volatile on purpose: under READ COMMITTED it sees the
--             catalogs as they are now, not as they were when the statement took its snapshot.
-- Parameters: i_table - the table
-- Returns:    cols   - names of the live columns, in table order
--             types  - their types
--             colls  - their collations
--             stored - names of the stored generated columns, NULL if none
--             keys   - names of the primary key's columns in index order, empty if there is no primary key
-- Calls:      -
-- Tables:     reads pg_attribute, pg_index
create or replace function pgq._table_shape(
  i_table oid, out cols text[], out types oid[], out colls oid[], out stored text[], out keys text[])
language plpgsql volatile as $$
declare
  nums int2[];
  key_nums int2[];
begin
  select pg_catalog.array_agg(a.attname::text), pg_catalog.array_agg(a.atttypid),
      pg_catalog.array_agg(a.attcollation), pg_catalog.array_agg(a.attnum),
      pg_catalog.array_agg(a.attname::text) filter (where a.attgenerated = 's')
    into cols, types, colls, nums, stored
    from (select t.attname, t.atttypid, t.attcollation, t.attnum, t.attgenerated from pg_catalog.pg_attribute t
           where t.attrelid = i_table and t.attnum > 0 and not t.attisdropped order by t.attnum) a;
  select i.indkey[0 : i.indnkeyatts - 1] into key_nums
    from pg_catalog.pg_index i where i.indrelid = i_table and i.indisprimary;
  cols := coalesce(cols, '{}');
  keys := '{}';
  for i in 1 .. coalesce(pg_catalog.cardinality(key_nums), 0) loop
    keys[i] := cols[pg_catalog.array_position(nums, key_nums[i])];
  end loop;
end;
$$;

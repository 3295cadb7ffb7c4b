-- pgq._fast_comparable(i_type oid)
--
-- Purpose:    types whose default equality operator is `pg_catalog.=`
-- Parameters: i_type - the type
-- Returns:    whether it is one of those
-- Calls:      -
-- Tables:     -
create or replace function pgq._fast_comparable(i_type oid)
returns bool language sql immutable parallel safe as $$
  -- bool, bytea, "char", name, int8, int2, int4, text, oid, cidr, float4, float8, money, macaddr, inet, bpchar, varchar,
  -- date, time, timestamp, timestamptz, interval, timetz, bit, varbit, numeric, uuid, jsonb
  select i_type in (16, 17, 18, 19, 20, 21, 23, 25, 26, 650, 700, 701, 790, 829, 869, 1042, 1043, 1082, 1083, 1114, 1184,
    1186, 1266, 1560, 1562, 1700, 2950, 3802)
$$;

-- pgq._fast_same(i_col text, i_type oid, i_filled bool, i_old text, i_new text)
--
-- Purpose:    the source of a condition: a column is the same in two rows, by the rules of pgq._row_same.
-- Parameters: i_col, i_type - the column; i_filled - it is never NULL; i_old, i_new - the rows, such as OLD and NEW
-- Returns:    the condition, never NULL
-- Calls:      -
-- Tables:     -
create or replace function pgq._fast_same(i_col text, i_type oid, i_filled bool, i_old text, i_new text)
returns text language sql stable as $$
  select case
    when pgq._fast_comparable(i_type) and i_filled then
      pg_catalog.format('%2$s.%1$I operator(pg_catalog.=) %3$s.%1$I', i_col, i_old, i_new)
    when pgq._fast_comparable(i_type) then pg_catalog.format(
      'coalesce(%2$s.%1$I operator(pg_catalog.=) %3$s.%1$I, %2$s.%1$I is null and %3$s.%1$I is null)',
      i_col, i_old, i_new)
    else pg_catalog.format('pgq._value_same(%s, %s.%I, %s.%I)',
      case when exists (select from pg_catalog.pg_type t where t.oid = i_type and t.typelem <> 0 and t.typlen = -1)
        then 'true' else 'false' end,
      i_old, i_col, i_new, i_col)
  end
$$;

-- pgq._value_same(i_array bool, i_old anyelement, i_new anyelement)
--
-- Purpose:    whether two values are the same, by the rules of pgq._row_same, for types without an equality operator of
--             their own in pg_catalog.
-- Parameters: i_array - the type is an array; i_old, i_new - the values
-- Returns:    true if the same; two NULLs are
-- Calls:      -
-- Tables:     -
create or replace function pgq._value_same(i_array bool, i_old anyelement, i_new anyelement)
returns bool language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  old_text text;
  new_text text;
begin
  if pg_catalog.num_nulls(i_old, i_new) > 0 then
    return pg_catalog.num_nulls(i_old, i_new) = 2;
  end if;
  old_text := pg_catalog.concat(i_old);
  new_text := pg_catalog.concat(i_new);
  if i_array or old_text = new_text collate "C" and pg_catalog.current_setting('extra_float_digits')::int4 >= 1 then
    return old_text = new_text collate "C";
  end if;
  begin
    return array[i_old] = array[i_new];
  exception
    when undefined_function or undefined_object or datatype_mismatch then
      return old_text = new_text collate "C";
  end;
end;
$$;

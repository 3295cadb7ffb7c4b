-- pgq._row_same(i_col text, i_type oid, i_coll oid, i_old text, i_new text, i_old_row anyelement, i_new_row anyelement)
--
-- Purpose:    whether a column is the same in two rows: by the default equality operator of its type under its
--             collation; by text for arrays and for types that have no equality. Mostly the texts decide; the rows are
--             asked only where they cannot.
-- Parameters: i_col, i_type, i_coll - the column; i_old, i_new - its values as text; i_old_row, i_new_row - the rows
-- Returns:    true if the same; two NULLs are
-- Calls:      -
-- Tables:     reads pg_type
create or replace function pgq._row_same(
  i_col text, i_type oid, i_coll oid, i_old text, i_new text, i_old_row anyelement, i_new_row anyelement)
returns bool language plpgsql stable as $$
declare
  same bool;
begin
  if i_old is null or i_new is null then
    return i_old is null and i_new is null;
  end if;
  if i_old = i_new collate "C" then
    -- floats print fewer digits than they have when extra_float_digits is below 1
    if pg_catalog.current_setting('extra_float_digits')::int4 >= 1 or i_type in (16, 20, 21, 23, 25, 1043, 1700, 1082,
        1114, 1184, 2950, 17, 114, 3802) then
      return true;
    end if;
  elsif i_coll in (0, 100, 950, 951) then
    -- types whose equal values always print the same text
    if i_type in (16, 17, 18, 19, 20, 21, 23, 25, 26, 1043, 1082, 1083, 1114, 1184, 1266, 2950, 829, 774, 790, 114, 142) then
      return false;
    elsif i_type = 1700 then
      return i_old::numeric = i_new::numeric;
    elsif i_type = 3802 then
      return i_old::jsonb = i_new::jsonb;
    elsif i_type = 1042 then
      return pg_catalog.rtrim(i_old, ' ') = pg_catalog.rtrim(i_new, ' ') collate "C";
    elsif i_type = 1186 then
      return i_old::interval = i_new::interval;
    end if;
  end if;
  if exists (select from pg_catalog.pg_type t where t.oid = i_type and t.typelem <> 0 and t.typlen = -1) then
    return i_old = i_new collate "C";
  end if;
  -- arrays compare their elements by the default equality of the type, whatever operators are called `=`
  begin
    execute pg_catalog.format('select array[($1).%1$I] = array[($2).%1$I]', i_col) into same using i_old_row, i_new_row;
    return same;
  exception
    when undefined_function or undefined_object or datatype_mismatch then
      return i_old = i_new collate "C";
  end;
end;
$$;

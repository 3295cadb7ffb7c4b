-- pgq._row_fields(i_row text, i_count int4)
--
-- Purpose:    splits the text form of a row into the text forms of its columns. The text form of a row is the only
--             thing PL/pgSQL gives without dynamic SQL that holds each column exactly as its type prints it.
-- Parameters: i_row   - a row cast to text, e.g. `(1,"a ""b""",)`
--             i_count - number of its columns (dropped ones not counted)
-- Returns:    one element a column, NULL where the column is NULL
-- Calls:      -
-- Tables:     -
create or replace function pgq._row_fields(i_row text, i_count int4)
returns text[] language plpgsql immutable strict parallel safe as $$
declare
  inner_part constant text := pg_catalog.substr(i_row, 2, pg_catalog.length(i_row) - 2);
  -- an empty field is NULL: an empty string is printed as ""
  fields text[] := pg_catalog.string_to_array(inner_part, ',', '');
begin
  if pg_catalog.strpos(i_row, '"') = 0 then
    return fields;
  end if;
  -- as many parts as columns: no comma stands inside a field
  if pg_catalog.cardinality(fields) <> i_count then
    fields := array(
      select case f.m[1] when '' then null else f.m[1] end
      from pg_catalog.regexp_matches(',' || inner_part, ',("(?:[^"]|"")*"|[^,"]*)', 'g') as f(m));
  end if;
  for i in 1 .. i_count loop
    if fields[i] like '"%' then
      fields[i] := pg_catalog.replace(pg_catalog.replace(
        pg_catalog.substr(fields[i], 2, pg_catalog.length(fields[i]) - 2), '""', '"'), '\\', '\');
    end if;
  end loop;
  return fields;
end;
$$;

-- pgq._row_json(i_cols text[], i_types oid[], i_vals text[], i_logged int4[], i_row anyelement)
--
-- Purpose:    a row as JSON data: integers and booleans as such, dates and timestamps in ISO form whatever the session's
--             DateStyle, everything else as a string of what its type prints.
-- Parameters: i_cols, i_types, i_vals - names, types and values of the columns; i_logged - positions of those that are
--             shown; i_row - the row
-- Returns:    the text
-- Calls:      -
-- Tables:     -
create or replace function pgq._row_json(i_cols text[], i_types oid[], i_vals text[], i_logged int4[], i_row anyelement)
returns text language plpgsql stable as $$
declare
  parts text[];
  dates json;
  i int4;
begin
  foreach i in array i_logged loop
    parts := parts || (pg_catalog.to_json(i_cols[i])::text || ':' || case
      when i_vals[i] is null then 'null'
      when i_types[i] in (20, 21, 23) then i_vals[i]
      when i_types[i] = 16 then case i_vals[i] when 't' then 'true' else 'false' end
      when i_types[i] in (1082, 1114, 1184) then null
      else pg_catalog.to_json(i_vals[i])::text
    end);
    if parts[pg_catalog.cardinality(parts)] is null then
      dates := coalesce(dates, pg_catalog.row_to_json(i_row));
      parts[pg_catalog.cardinality(parts)] := pg_catalog.to_json(i_cols[i])::text || ':' || (dates -> i_cols[i])::text;
    end if;
  end loop;
  return '{' || coalesce(pg_catalog.array_to_string(parts, ','), '') || '}';
end;
$$;

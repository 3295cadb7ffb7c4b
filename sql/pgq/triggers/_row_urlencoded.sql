-- pgq._row_urlencoded(i_cols text[], i_vals text[], i_logged int4[])
--
-- Purpose:    a row as url-encoded data: `col=value&col=value`, a NULL as its name alone.
-- Parameters: i_cols, i_vals - names and values of the columns; i_logged - positions of those that are shown
-- Returns:    the text
-- Calls:      pgq._urlencode
-- Tables:     -
create or replace function pgq._row_urlencoded(i_cols text[], i_vals text[], i_logged int4[])
returns text language plpgsql immutable as $$
declare
  parts text[];
  i int4;
begin
  foreach i in array i_logged loop
    if i_vals[i] is null then
      parts := parts || pgq._urlencode(i_cols[i]);
    else
      parts := parts || (pgq._urlencode(i_cols[i]) || '=' || pgq._urlencode(i_vals[i]));
    end if;
  end loop;
  return coalesce(pg_catalog.array_to_string(parts, '&'), '');
end;
$$;

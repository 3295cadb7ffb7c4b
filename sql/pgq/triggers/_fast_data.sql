-- pgq._fast_data(i_format text, i_ref text, i_cols text[], i_types oid[], i_filled text[], i_whole bool)
--
-- Purpose:    the source of an expression for the data of an event.
-- Parameters: i_format - json or logu; i_ref - the row, such as NEW; i_cols, i_types - the columns to show
--             i_filled - columns that are never NULL; i_whole - they are all there is in the row
-- Returns:    the expression. Two arguments of concat() for each column: each costs time at the first row of a transaction
-- Calls:      pgq._fast_value, pgq._fast_is_null
-- Tables:     -
create or replace function pgq._fast_data(
  i_format text, i_ref text, i_cols text[], i_types oid[], i_filled text[], i_whole bool)
returns text language plpgsql stable as $$
declare
  calls text[];
  arguments text[] := '{}';
  name text;
  ref text;
begin
  if i_format = 'json' and i_whole and pg_catalog.cardinality(i_cols) > 0
      and i_types <@ (pgq._fast_json_types() || array[16, 20, 21, 23]::oid[]) then
    return pg_catalog.format('pg_catalog.row_to_json(%s)::pg_catalog.text', i_ref);
  end if;
  for i in 1 .. pg_catalog.cardinality(i_cols) loop
    ref := i_ref || '.' || pg_catalog.quote_ident(i_cols[i]);
    name := case when i_format = 'json' then case when i = 1 then '{' else ',' end || pg_catalog.to_json(i_cols[i])::text || ':'
      else case when i = 1 then '' else '&' end || pgq._urlencode(i_cols[i]) end;
    arguments := arguments || array[
      case
        when i_format = 'json' then pg_catalog.quote_literal(name)
        when i_cols[i] = any (i_filled) then pg_catalog.quote_literal(name || '=')
        else pg_catalog.format('case when %s then %L else %L end', pgq._fast_is_null(ref, i_types[i]), name, name || '=')
      end,
      pgq._fast_value(i_format, ref, i_types[i], i_cols[i] = any (i_filled))];
    -- a function takes at most 100 arguments
    if i % 48 = 0 or i = pg_catalog.cardinality(i_cols) then
      calls := calls || pg_catalog.format('pg_catalog.concat(%s%s)', pg_catalog.array_to_string(arguments, E',\n      '),
        case when i_format = 'json' and i = pg_catalog.cardinality(i_cols) then ', ''}''' else '' end);
      arguments := '{}';
    end if;
  end loop;
  return coalesce(pg_catalog.array_to_string(calls, E'\n      operator(pg_catalog.||) '),
    case when i_format = 'json' then '''{}''' else '''''' end);
end;
$$;

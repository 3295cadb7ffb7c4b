-- pgq._row_sql(i_op text, i_cols text[], i_key_cols text[], i_vals text[], i_old_vals text[], i_logged int4[],
--              i_changed bool[])
--
-- Purpose:    a change as a fragment of SQL, without its verb and table.
-- Parameters: i_op       - INSERT, UPDATE or DELETE
--             i_cols     - names of the columns; i_key_cols - names of the key's
--             i_vals     - the row that is logged; i_old_vals - the row before an UPDATE
--             i_logged   - positions of the columns that are shown; i_changed - whether an UPDATE changed the column
-- Returns:    the text; raises where a key is NULL
-- Calls:      -
-- Tables:     -
create or replace function pgq._row_sql(
  i_op text, i_cols text[], i_key_cols text[], i_vals text[], i_old_vals text[], i_logged int4[], i_changed bool[])
returns text language plpgsql immutable as $$
declare
  names text[];
  vals text[];
  conditions text[];
  i int4;
begin
  if i_op = 'INSERT' then
    foreach i in array i_logged loop
      names := names || pg_catalog.quote_ident(i_cols[i]);
      vals := vals || coalesce(pg_catalog.quote_literal(i_vals[i]), 'null');
    end loop;
    return '(' || coalesce(pg_catalog.array_to_string(names, ','), '') || ') values ('
      || coalesce(pg_catalog.array_to_string(vals, ','), '') || ')';
  end if;

  if i_op = 'UPDATE' then
    foreach i in array i_logged loop
      if i_changed[i] then
        vals := vals || (pg_catalog.quote_ident(i_cols[i]) || '=' || pg_catalog.quote_nullable(i_vals[i]));
      end if;
    end loop;
  end if;
  for i in 1 .. pg_catalog.cardinality(i_cols) loop
    if i_cols[i] = any (i_key_cols) then
      if i_vals[i] is null then
        raise exception 'logtriga: Unexpected NULL key value';
      end if;
      conditions := conditions || (pg_catalog.quote_ident(i_cols[i]) || '='
        || pg_catalog.quote_literal(case when i_op = 'UPDATE' then i_old_vals[i] else i_vals[i] end));
    end if;
  end loop;
  if i_op = 'DELETE' then
    return coalesce(pg_catalog.array_to_string(conditions, ' and '), '');
  end if;
  if vals is null and conditions is null then
    raise exception 'logtriga: Unexpected NULL key value';
  end if;
  return coalesce(pg_catalog.array_to_string(vals, ','), conditions[1])
    || ' where ' || coalesce(pg_catalog.array_to_string(conditions, ' and '), '');
end;
$$;

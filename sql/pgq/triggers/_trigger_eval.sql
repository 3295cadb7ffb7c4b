-- pgq._trigger_eval(i_expr text, i_cols text[], i_row anyelement)
--
-- Purpose:    evaluates an EXPR argument of a trigger over a row. Stable: a sub-select sees what the statement saw.
-- Parameters: i_expr - the expression; i_cols - names of the table's columns; i_row - the row
-- Returns:    type_id - type of the result, 0 if the expression is empty; val - the text that the type prints
-- Calls:      pgq._trigger_expr
-- Tables:     -
create or replace function pgq._trigger_eval(i_expr text, i_cols text[], i_row anyelement, out type_id oid, out val text)
language plpgsql stable as $$
declare
  found_rows int8;
begin
  if pg_catalog.btrim(i_expr, E' \t\n\r\f\x0b') = '' then
    type_id := 0;
    return;
  end if;
  -- the line feed ends a comment at the end of the expression
  execute 'select pg_catalog.count(*) over (), pg_catalog.pg_typeof(v)::oid, '
      || 'case when pg_catalog.num_nulls(v) = 0 then pg_catalog.format(''%s'', v) end from (select '
      || pgq._trigger_expr(i_expr, i_cols) || E'\n) as s(v)'
    into found_rows, type_id, val using i_row;
  if found_rows is distinct from 1 then
    raise exception 'Expect 1 row from override query, got %', coalesce(found_rows, 0);
  end if;
end;
$$;

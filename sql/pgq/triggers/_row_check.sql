-- pgq._row_check(i_cols text[], i_row anyelement)
--
-- Purpose:    under REPEATABLE READ a query of the catalogs shows them as they were when the transaction began, while
--             the row has the columns the table has now. A trigger must not log values under the names of others.
-- Parameters: i_cols - names of the columns as the catalogs show them; i_row - a row of the table
-- Returns:    -; raises 40001 if the row has other columns
-- Calls:      -
-- Tables:     -
create or replace function pgq._row_check(i_cols text[], i_row anyelement)
returns void language plpgsql stable as $$
begin
  if array(select pg_catalog.json_object_keys(pg_catalog.row_to_json(i_row))) <> i_cols then
    raise exception using errcode = 'serialization_failure',
      message = 'could not serialize access: the table was altered after this transaction began',
      hint = 'Run the transaction again.';
  end if;
end;
$$;

-- pgq._fast_classic(i_format text, i_args text[], i_when text, i_op text, i_table_id oid, i_schema text, i_table text,
--                   i_trigger text, i_part int4, i_new anyelement, i_old anyelement)
--
-- Purpose:    a generated trigger writes one event as the classic trigger does. It comes here when the table is not any
--             more as it was when the trigger was generated, and for all that is rare.
-- Parameters: i_format .. i_table - as in pgq._trigger_event
--             i_trigger - the trigger's name
--             i_part    - 2; with the argument key_update=delete_insert, 1 to 3: the rows that lose their key, those that
--                         keep it, those that get one
--             i_new, i_old - the row after and before the change
-- Returns:    whether the change is to be suppressed
-- Calls:      pgq._trigger_silent, pgq._trigger_event, pgq._table_shape, pgq._listed_columns, pgq._row_fields,
--             pgq._row_same
-- Tables:     -
create or replace function pgq._fast_classic(
  i_format text, i_args text[], i_when text, i_op text, i_table_id oid, i_schema text, i_table text, i_trigger text,
  i_part int4, i_new anyelement, i_old anyelement)
returns bool language plpgsql volatile as $$
declare
  args constant text[] := pg_catalog.array_remove(i_args, 'key_update=delete_insert');
  parsed record;
  shape record;
  keys text[];
  new_vals text[];
  old_vals text[];
  moved bool := false;
begin
  if pg_catalog.current_setting('session_replication_role') = 'local'
      or coalesce(pg_catalog.current_setting('skytools.replication_role', true), '') <> ''
        and pgq._trigger_silent(i_table_id, i_trigger) then
    return false;
  end if;
  if i_op = 'UPDATE' and 'key_update=delete_insert' = any (i_args) then
    parsed := pgq._trigger_args(args, i_when, 'ROW', i_op);
    shape := pgq._table_shape(i_table_id);
    keys := coalesce(pgq._listed_columns(parsed.pkey, shape.cols), shape.keys);
    new_vals := pgq._row_fields(i_new::text, pg_catalog.cardinality(shape.cols));
    old_vals := pgq._row_fields(i_old::text, pg_catalog.cardinality(shape.cols));
    for i in 1 .. pg_catalog.cardinality(shape.cols) loop
      moved := moved or shape.cols[i] = any (keys)
        and not pgq._row_same(shape.cols[i], shape.types[i], shape.colls[i], old_vals[i], new_vals[i], i_old, i_new);
    end loop;
  end if;
  if moved and i_part = 1 then
    return pgq._trigger_event(i_format, args, i_when, 'ROW', 'DELETE', i_table_id, i_schema, i_table, null, i_old);
  elsif moved and i_part = 3 then
    return pgq._trigger_event(i_format, args, i_when, 'ROW', 'INSERT', i_table_id, i_schema, i_table, i_new, null);
  elsif not moved and i_part = 2 then
    if i_op = 'INSERT' then
      return pgq._trigger_event(i_format, args, i_when, 'ROW', i_op, i_table_id, i_schema, i_table, i_new, null);
    elsif i_op = 'UPDATE' then
      return pgq._trigger_event(i_format, args, i_when, 'ROW', i_op, i_table_id, i_schema, i_table, i_new, i_old);
    end if;
    return pgq._trigger_event(i_format, args, i_when, 'ROW', i_op, i_table_id, i_schema, i_table, null, i_old);
  end if;
  return false;
end;
$$;

-- pgq._fast_classic_pinned(the same)
--
-- Purpose:    the same for a generated trigger without expressions. A trigger runs with its creator's rights under the
--             search_path of whoever changes the table, who could put operators of his own there; one with expressions
--             has its creator's search_path.
-- Calls:      pgq._fast_classic
-- Tables:     -
create or replace function pgq._fast_classic_pinned(
  i_format text, i_args text[], i_when text, i_op text, i_table_id oid, i_schema text, i_table text, i_trigger text,
  i_part int4, i_new anyelement, i_old anyelement)
returns bool language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  return pgq._fast_classic(i_format, i_args, i_when, i_op, i_table_id, i_schema, i_table, i_trigger, i_part, i_new, i_old);
end;
$$;

-- pgq._fast_rows(i_op text, i_table_id oid)
--
-- Purpose:    the query by which a statement-level trigger walks over its transition tables row by row.
-- Parameters: i_op - INSERT, UPDATE or DELETE; i_table_id - the table
-- Returns:    SQL with the columns n and o: the row after and before the change, NULL where there is none
-- Calls:      pgq._table_shape
-- Tables:     -
create or replace function pgq._fast_rows(i_op text, i_table_id oid)
returns text language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  cols constant text[] := (pgq._table_shape(i_table_id)).cols;
  new_row text;
  old_row text;
begin
  select pg_catalog.format('row(%s)::%s', pg_catalog.string_agg(pg_catalog.format('n.%I', c), ', ' order by i), i_table_id::regclass),
      pg_catalog.format('row(%s)::%s', pg_catalog.string_agg(pg_catalog.format('o.%I', c), ', ' order by i), i_table_id::regclass)
    into new_row, old_row from pg_catalog.unnest(cols) with ordinality as u(c, i);
  return case i_op
    when 'INSERT' then pg_catalog.format('select %s as n, null::%s as o from new_table n', new_row, i_table_id::regclass)
    when 'DELETE' then pg_catalog.format('select null::%s as n, %s as o from old_table o', i_table_id::regclass, old_row)
    -- both tables hold the rows in the order in which they were updated
    else pg_catalog.format('select %s as n, %s as o'
      ' from (select pg_catalog.row_number() over () as "pgq row", * from new_table) n'
      ' join (select pg_catalog.row_number() over () as "pgq row", * from old_table) o on o."pgq row" = n."pgq row"'
      ' order by n."pgq row"', new_row, old_row)
  end;
end;
$$;

-- pgq._when(i_value bool)
--
-- Purpose:    the value of a `when=` expression
-- Parameters: i_value - what it gave
-- Returns:    the same; raises for NULL
-- Calls:      -
-- Tables:     -
create or replace function pgq._when(i_value bool)
returns bool language plpgsql immutable as $$
begin
  if i_value is null then
    raise exception 'when= should not be NULL';
  end if;
  return i_value;
end;
$$;

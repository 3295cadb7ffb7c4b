-- pgq._trigger_event(i_format text, i_args text[], i_when text, i_level text, i_op text, i_table_id oid,
--                    i_schema text, i_table text, i_new anyelement, i_old anyelement)
--
-- Purpose:    writes the event of one trigger call: the common body of pgq.jsontriga, logutriga and sqltriga.
--             Stable, so that expressions of the trigger see the database as it was before the statement. The columns
--             are read from the text form of the row, so that nothing is planned for each row but these expressions.
-- Parameters: i_format     - json, logu or sql
--             i_args       - the trigger's arguments
--             i_when .. i_table - what PL/pgSQL calls TG_WHEN, TG_LEVEL, TG_OP, TG_RELID, TG_TABLE_SCHEMA, TG_TABLE_NAME
--             i_new, i_old - the row after and before the change; the old row alone for DELETE, both NULL for TRUNCATE
-- Returns:    true if the change itself is to be suppressed (argument SKIP)
-- Calls:      pgq._trigger_args, pgq._table_shape, pgq._listed_columns, pgq._row_fields, pgq._row_check, pgq._row_same,
--             pgq._row_json, pgq._row_urlencoded, pgq._row_sql, pgq._trigger_eval, pgq.insert_event(7)
-- Tables:     -
create or replace function pgq._trigger_event(
  i_format text, i_args text[], i_when text, i_level text, i_op text, i_table_id oid,
  i_schema text, i_table text, i_new anyelement, i_old anyelement)
returns bool language plpgsql stable as $$
declare
  args record;
  shape record;
  keys text[];        -- names of the key columns, as the event type shows them
  key_cols text[];    -- those that are columns of the table
  ignored text[];     -- columns that `ignore=` leaves out, NULL without it
  vals text[];        -- the row that is logged
  old_vals text[];    -- the row before an UPDATE
  changed bool[];     -- for an UPDATE, whether the column differs
  logged int4[] := '{}';  -- positions of the columns that go into the data
  magic bool := false;
  is_ignored bool;
  ignored_changed bool := false;
  other_changed bool := false;
  field int4;
  result record;
  ev text[] := pg_catalog.array_fill(null::text, array[6]);
begin
  args := pgq._trigger_args(i_args, i_when, i_level, i_op);
  shape := pgq._table_shape(i_table_id);
  if args.pkey is null then
    keys := shape.keys;
    key_cols := keys;
  else
    keys := case when args.pkey = '' then array[''] else pg_catalog.string_to_array(args.pkey, ',') end;
    key_cols := pgq._listed_columns(args.pkey, shape.cols);
  end if;
  ignored := pgq._listed_columns(args.ignored, shape.cols);

  if i_op in ('UPDATE', 'DELETE') and (args.pkey = '' or pg_catalog.cardinality(keys) = 0) then
    raise exception 'Update/Delete on table without pkey';
  end if;
  if args.skip and i_when = 'AFTER' then
    raise exception 'SKIP does not work in AFTER trigger.';
  end if;
  if args.deny then
    raise exception 'Table ''%.%'' to queue ''%'': change not allowed (%)', i_schema, i_table, args.queue, i_op;
  end if;

  if i_op = 'DELETE' then
    vals := pgq._row_fields(i_old::text, pg_catalog.cardinality(shape.cols));
  elsif i_op <> 'TRUNCATE' then
    vals := pgq._row_fields(i_new::text, pg_catalog.cardinality(shape.cols));
  end if;
  if pg_catalog.current_setting('transaction_isolation') in ('repeatable read', 'serializable')
      and i_op <> 'TRUNCATE' then
    perform pgq._row_check(shape.cols, case when i_op = 'DELETE' then i_old else i_new end);
  end if;

  if i_op = 'UPDATE' then
    old_vals := pgq._row_fields(i_old::text, pg_catalog.cardinality(shape.cols));
    -- BEFORE the change PL/pgSQL shows no value in a generated column where a trigger in C finds the old one
    if i_when = 'BEFORE' and shape.stored is not null then
      for i in 1 .. pg_catalog.cardinality(shape.cols) loop
        if shape.cols[i] = any (shape.stored) then
          vals[i] := old_vals[i];
        end if;
      end loop;
    end if;
    for i in 1 .. pg_catalog.cardinality(shape.cols) loop
      if shape.cols[i] = any (key_cols)
          and not pgq._row_same(shape.cols[i], shape.types[i], shape.colls[i], old_vals[i], vals[i], i_old, i_new) then
        raise exception 'primary key update not allowed';
      end if;
    end loop;
    if i_format = 'sql' or ignored is not null then
      for i in 1 .. pg_catalog.cardinality(shape.cols) loop
        if pgq._row_same(shape.cols[i], shape.types[i], shape.colls[i], old_vals[i], vals[i], i_old, i_new) then
          changed[i] := false;
        else
          changed[i] := true;
          is_ignored := shape.cols[i] = any (ignored) or pg_catalog.starts_with(shape.cols[i], '_pgq_ev_');
          ignored_changed := ignored_changed or is_ignored;
          other_changed := other_changed or is_ignored is not true;
        end if;
      end loop;
      if ignored_changed and not other_changed then
        return args.skip;
      end if;
    end if;
  end if;

  for i in 1 .. pg_catalog.cardinality(shape.cols) loop
    exit when i_op = 'TRUNCATE';
    if pg_catalog.starts_with(shape.cols[i], '_pgq_ev_') then
      if shape.cols[i] not in ('_pgq_ev_type', '_pgq_ev_data', '_pgq_ev_extra1', '_pgq_ev_extra2', '_pgq_ev_extra3',
          '_pgq_ev_extra4') then
        raise exception 'Unknown magic column: %', shape.cols[i];
      end if;
      magic := true;
    elsif ignored is null or shape.cols[i] <> all (ignored) then
      logged := logged || i;
    end if;
  end loop;

  ev[3] := i_schema || '.' || i_table;
  if i_format = 'json' then
    ev[1] := '{"op":"' || i_op || '","table":[' || pg_catalog.to_json(i_schema)::text || ','
      || pg_catalog.to_json(i_table)::text || '],"pkey":'
      || pg_catalog.array_to_json(keys)::text || '}';
    if i_op = 'DELETE' then
      ev[2] := pgq._row_json(shape.cols, shape.types, vals, logged, i_old);
    elsif i_op = 'TRUNCATE' then
      ev[2] := '{}';
    else
      ev[2] := pgq._row_json(shape.cols, shape.types, vals, logged, i_new);
    end if;
    if args.backup and i_op = 'UPDATE' then
      ev[4] := pgq._row_json(shape.cols, shape.types, old_vals, logged, i_old);
    end if;
  else
    if i_op = 'TRUNCATE' then
      ev[1] := 'R';
      ev[2] := '';
    elsif i_format = 'logu' then
      ev[1] := pg_catalog.left(i_op, 1) || ':' || coalesce(args.pkey, pg_catalog.array_to_string(keys, ','));
      ev[2] := pgq._row_urlencoded(shape.cols, vals, logged);
    else
      ev[1] := pg_catalog.left(i_op, 1);
      ev[2] := pgq._row_sql(i_op, shape.cols, key_cols, vals, old_vals, logged, changed);
    end if;
    if args.backup and i_op = 'UPDATE' then
      ev[4] := pgq._row_urlencoded(shape.cols, old_vals, logged);
    end if;
  end if;

  if magic then
    for i in 1 .. pg_catalog.cardinality(shape.cols) loop
      field := pg_catalog.array_position(array['_pgq_ev_type', '_pgq_ev_data', '_pgq_ev_extra1', '_pgq_ev_extra2',
        '_pgq_ev_extra3', '_pgq_ev_extra4'], shape.cols[i]);
      if field is not null then
        ev[field] := vals[i];
      end if;
    end loop;
  end if;

  if args.exprs is not null then
    for i in 1 .. 7 loop
      continue when args.exprs[i] is null;
      if i_op = 'DELETE' then
        result := pgq._trigger_eval(args.exprs[i], shape.cols, i_old);
      else
        result := pgq._trigger_eval(args.exprs[i], shape.cols, i_new);
      end if;
      if i < 7 then
        ev[i] := result.val;
      elsif result.type_id <> 16 then
        raise exception 'when= query result must be boolean, got=%', result.type_id;
      elsif result.val is null then
        raise exception 'when= should not be NULL';
      elsif result.val <> 't' then
        return args.skip;
      end if;
    end loop;
  end if;

  perform pgq.insert_event(args.queue, ev[1], ev[2], ev[3], ev[4], ev[5], ev[6]);
  return args.skip;
end;
$$;

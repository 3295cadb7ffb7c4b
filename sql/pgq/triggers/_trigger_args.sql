-- pgq._trigger_args(i_args text[], i_when text, i_level text, i_op text, i_schema text, i_table text)
--
-- Purpose:    reads the arguments of a trigger and makes the checks that need nothing but them.
-- Parameters: i_args           - the trigger's arguments, the queue's name first
--             i_when, i_level, i_op - what PL/pgSQL calls TG_WHEN, TG_LEVEL and TG_OP
--             i_schema, i_table - the table
-- Returns:    queue        - the queue's name
--             skip, backup, deny - whether the argument is there
--             ignored      - the text of `ignore=`, NULL if the argument is not there
--             pkey         - the text of `pkey=`, NULL if the argument is not there
--             exprs        - expressions for ev_type, ev_data, ev_extra1 .. ev_extra4 and when; NULL if there is none.
--                            Of two of the same name the first counts.
-- Calls:      -
-- Tables:     -
create or replace function pgq._trigger_args(
  i_args text[], i_when text, i_level text, i_op text,
  out queue text, out skip bool, out backup bool, out deny bool,
  out ignored text, out pkey text, out exprs text[])
language plpgsql immutable as $$
declare
  arg text;
  field int4;
begin
  if i_op = 'TRUNCATE' then
    if i_level <> 'STATEMENT' then
      raise exception 'pgq tRuncate trigger must be fired FOR EACH STATEMENT';
    end if;
  elsif i_level <> 'ROW' then
    raise exception 'pgq Ins/Upd/Del trigger must be fired FOR EACH ROW';
  end if;
  if coalesce(pg_catalog.cardinality(i_args), 0) = 0 then
    raise exception 'pgq trigger must have destination queue as argument';
  end if;

  queue := i_args[pg_catalog.array_lower(i_args, 1)];
  skip := false;
  backup := false;
  deny := false;
  for i in pg_catalog.array_lower(i_args, 1) + 1 .. pg_catalog.array_upper(i_args, 1) loop
    arg := i_args[i];
    if arg = 'SKIP' then
      skip := true;
    elsif arg = 'backup' then
      backup := true;
    elsif arg = 'deny' then
      deny := true;
    elsif pg_catalog.starts_with(arg, 'ignore=') then
      ignored := pg_catalog.substr(arg, 8);
    elsif pg_catalog.starts_with(arg, 'pkey=') then
      pkey := pg_catalog.substr(arg, 6);
    else
      field := pg_catalog.array_position(
        array['ev_type', 'ev_data', 'ev_extra1', 'ev_extra2', 'ev_extra3', 'ev_extra4', 'when'],
        (pg_catalog.regexp_match(arg, '^([a-z0-9_]+)='))[1]);
      if field is null then
        raise exception 'bad param to pgq trigger';
      end if;
      if i_op = 'TRUNCATE' then
        raise exception 'Custom expressions do not make sense for truncater trigger';
      end if;
      exprs := coalesce(exprs, pg_catalog.array_fill(null::text, array[7]));
      exprs[field] := coalesce(exprs[field], pg_catalog.substr(arg, pg_catalog.strpos(arg, '=') + 1));
    end if;
  end loop;

  if i_op = 'TRUNCATE' then
    if ignored is not null then
      raise exception 'Column ignore does not make sense for truncate trigger';
    elsif pkey is not null then
      raise exception 'Custom pkey_list does not make sense for truncate trigger';
    elsif backup then
      raise exception 'Backup does not make sense for truncate trigger';
    end if;
  end if;
end;
$$;

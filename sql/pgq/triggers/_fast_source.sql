-- pgq._fast_source(i_table regclass, i_format text, i_level text, i_args text[])
--
-- Purpose:    the body of the trigger function that is made for exactly this table. It does the usual only and leaves
--             the rest to pgq._fast_classic. All in it is qualified, since it runs with its creator's rights.
-- Parameters: i_table - the table; i_format - json or logu; i_level - row or statement
--             i_args  - arguments of the trigger, the queue's name first
-- Returns:    PL/pgSQL
-- Calls:      pgq._trigger_args, pgq._table_shape, pgq._listed_columns, pgq._trigger_expr, pgq._fast_data,
--             pgq._fast_plain, pgq._fast_insert_source, pgq._fast_same, pgq._fast_shape, pgq._fast_events, pgq._fast_role
-- Tables:     reads queue
create or replace function pgq._fast_source(i_table regclass, i_format text, i_level text, i_args text[])
returns text language plpgsql volatile as $$
declare
  by_row constant bool := i_level = 'row';
  args constant record := pgq._trigger_args(pg_catalog.array_remove(i_args, 'key_update=delete_insert'), 'BEFORE', 'ROW',
    'INSERT');
  shape constant record := pgq._table_shape(i_table::oid);
  ignored constant text[] := pgq._listed_columns(args.ignored, shape.cols);
  key_cols constant text[] := coalesce(pgq._listed_columns(args.pkey, shape.cols), shape.keys);
  -- a BEFORE trigger sees rows that the key has not been checked for
  filled constant text[] := case when args.skip then '{}' else coalesce(shape.keys, '{}') end;
  new_row constant text := case when by_row then 'NEW' else 'n' end;
  old_row constant text := case when by_row then 'OLD' else 'o' end;
  cols text[] := '{}';
  types oid[] := '{}';
  keys_same text := 'true';
  ignored_same text := 'true';
  others_same text := 'true';
  old_keys text;
  new_keys text;
  needs_pairs bool;
  condition text;
  classic text;
  usable text;
  branches text := '';
  fields text[];
  names constant text[] := '{ev_type,ev_data,ev_extra1,ev_extra2,ev_extra3,ev_extra4}';
  variables text := '';
  plain record;
  op text;
  logged text;
  from_rows text;
  where_rows text;
  schema_name text;
  table_name text;
  queue pgq.queue;
  leave text;
begin
  select ns.nspname, c.relname into schema_name, table_name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace where c.oid = i_table;
  select q.* into queue from pgq.queue q where q.queue_name = args.queue;

  for i in 1 .. pg_catalog.cardinality(shape.cols) loop
    condition := E'\n      and ' || pgq._fast_same(shape.cols[i], shape.types[i], shape.cols[i] = any (filled), old_row, new_row);
    if shape.cols[i] = any (key_cols) then
      keys_same := keys_same || condition;
      old_keys := pg_catalog.concat_ws(', ', old_keys, pg_catalog.format('pg_catalog.array_agg(o.%I)', shape.cols[i]));
      new_keys := pg_catalog.concat_ws(', ', new_keys, pg_catalog.format('pg_catalog.array_agg(n.%I)', shape.cols[i]));
    end if;
    if shape.cols[i] = any (ignored) then
      ignored_same := ignored_same || condition;
    else
      cols := cols || shape.cols[i];
      types := types || shape.types[i];
      others_same := others_same || condition;
    end if;
  end loop;

  -- Whatever an AFTER trigger returns is ignored: a record costs less than the expression null.
  leave := case when args.skip then E'      return null;\n' else E'      return NEW;\n' end;
  -- what is not as it was when this was written goes the way of the classic trigger
  usable := pg_catalog.format($source$TG_RELID operator(pg_catalog.=) %s::pg_catalog.oid
    -- evaluated when the expression is planned, and again only after a change: see pgq._fast_shape
    and pg_catalog.texteq(pgq._fast_shape(%L::pg_catalog.regclass), %L)
    and pg_catalog.texteq(pgq._fast_events(%L::pg_catalog.regclass), %L)
    and pg_catalog.texteq(pgq._fast_role(), 'origin')
    and pg_catalog.texteq(pg_catalog.current_setting('transaction_isolation'), 'read committed')
    and pg_catalog.texteq(coalesce(pg_catalog.current_setting('skytools.replication_role', true), ''), '')$source$,
    i_table::oid, i_table::oid, pgq._fast_shape(i_table),
    pgq.quote_fqname(queue.queue_data_pfx)::regclass::oid, pgq.quote_fqname(queue.queue_data_pfx));
  -- BEFORE an update PL/pgSQL shows no value in a generated column
  if args.deny or args.skip and shape.stored is not null then
    usable := 'false';
  elsif args.pkey = '' or pg_catalog.cardinality(shape.keys) = 0 and args.pkey is null then
    usable := usable || E'\n    and pg_catalog.texteq(TG_OP, ''INSERT'')';
  end if;
  classic := pg_catalog.format('pgq.%I(%L, %L, TG_WHEN, TG_OP, TG_RELID, TG_TABLE_SCHEMA::pg_catalog.text,'
    ' TG_TABLE_NAME::pg_catalog.text, TG_NAME::pg_catalog.text, ',
    case when args.exprs is null then '_fast_classic_pinned' else '_fast_classic' end, i_format, i_args);

  foreach op in array array['INSERT', 'DELETE', 'UPDATE'] loop
    logged := case op when 'DELETE' then old_row else new_row end;
    needs_pairs := not by_row and op = 'UPDATE' and (ignored is not null or args.backup);
    fields := array[
      case i_format
        when 'json' then pg_catalog.quote_literal('{"op":"' || op || '","table":[' || pg_catalog.to_json(schema_name)::text
          || ',' || pg_catalog.to_json(table_name)::text || '],"pkey":' || pg_catalog.array_to_json(
            case when args.pkey = '' then array[''] else coalesce(pg_catalog.string_to_array(args.pkey, ','), shape.keys) end
          )::text || '}')
        else pg_catalog.quote_literal(pg_catalog.left(op, 1) || ':'
          || coalesce(args.pkey, pg_catalog.array_to_string(shape.keys, ',')))
      end,
      pgq._fast_data(i_format, logged, cols, types, filled, ignored is null and not needs_pairs),
      pg_catalog.quote_literal(schema_name || '.' || table_name),
      case when args.backup and op = 'UPDATE'
        then pgq._fast_data(i_format, old_row, cols, types, filled, ignored is null and not needs_pairs) else 'null' end,
      'null', 'null'];
    for i in 1 .. 6 loop
      if args.exprs[i] is not null then
        fields[i] := case when pg_catalog.btrim(args.exprs[i], E' \t\n\r\f\x0b') = '' then 'null'
          else pg_catalog.format(
            E'(select case when pg_catalog.num_nulls(s.v) operator(pg_catalog.=) 0 then pg_catalog.concat(s.v) end'
            ' from (select %s as v) s)', '(' || pgq._trigger_expr(args.exprs[i], shape.cols, logged) || E'\n)') end;
      end if;
    end loop;
    where_rows := case when args.exprs[7] is not null
      then 'pgq._when((' || pgq._trigger_expr(args.exprs[7], shape.cols, logged) || E'\n))' end;
    if op = 'UPDATE' and ignored is not null then
      where_rows := pg_catalog.concat_ws(' and ', pg_catalog.format('not (not (%s) and %s)', ignored_same, others_same),
        where_rows);
    end if;

    if by_row then
      -- TG_OP would be compared by a function, and each one costs a look-up at the first row of a transaction
      branches := branches || case op
        when 'INSERT' then E'  if OLD is not distinct from null then -- INSERT\n'
        when 'DELETE' then E'  elsif NEW is not distinct from null then -- DELETE\n'
        else pg_catalog.format(E'  else -- UPDATE\n    if not (%s) then\n      perform %s2, NEW, OLD);\n%s    end if;\n',
          keys_same, classic, leave)
      end;
      if where_rows is not null then
        branches := branches || pg_catalog.format(E'    if not (%s) then\n%s    end if;\n', where_rows, leave);
      end if;
      plain := pgq._fast_plain(logged, cols, types, filled);
      -- what is not constant is computed before the insert, which may not meet the queue's row
      for i in 1 .. 6 loop
        if i = 2 and i_format = 'logu' and args.exprs[i] is null and plain.condition is not null then
          branches := branches || pg_catalog.format(
            E'    if %s then\n      _ev_data := %s;\n    else\n      _ev_data := %s;\n    end if;\n',
            plain.condition, plain.data, fields[i]);
        elsif i = 2 or args.exprs[i] is not null or i = 4 and args.backup and op = 'UPDATE' then
          branches := branches || pg_catalog.format(E'    _%s := %s;\n', names[i], fields[i]);
        else
          continue;
        end if;
        fields[i] := '_' || names[i];
        if pg_catalog.strpos(variables, fields[i]) = 0 then
          variables := variables || pg_catalog.format(E'\n  %s pg_catalog.text;', fields[i]);
        end if;
      end loop;
      branches := branches || pgq._fast_insert_source(queue, fields);
    else
      from_rows := case
        when needs_pairs then '(select pg_catalog.row_number() over () as "pgq row", * from new_table) n'
          ' join (select pg_catalog.row_number() over () as "pgq row", * from old_table) o'
          ' on o."pgq row" operator(pg_catalog.=) n."pgq row"'
        when op = 'DELETE' then 'old_table o'
        else 'new_table n'
      end || coalesce(' where ' || where_rows, '') || case when needs_pairs then ' order by n."pgq row"' else '' end;
      branches := branches || pg_catalog.format(E'  %s pg_catalog.texteq(TG_OP, %L) then\n',
        case op when 'INSERT' then 'if' else 'elsif' end, op);
      for t in 0 .. queue.queue_ntables - 1 loop
        branches := branches || pg_catalog.format(
          E'    %s _table operator(pg_catalog.=) %s then\n'
          '      insert into %s (ev_id, ev_time, ev_txid, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)\n'
          '      select pg_catalog.nextval(%L::pg_catalog.regclass), pg_catalog.now(), _txid, e.*\n'
          '        from (select %s from %s) as e;\n',
          case t when 0 then 'if' else 'elsif' end, t, pgq.quote_fqname(queue.queue_data_pfx || '_' || t),
          queue.queue_event_seq, pg_catalog.array_to_string(fields, E',\n      '), from_rows);
      end loop;
      branches := branches || pg_catalog.format(
        E'    else\n      perform pgq.insert_event(%L, e.a, e.b, e.c, e.d, e.e, e.f)\n'
        '        from (select %s from %s) as e(a, b, c, d, e, f);\n    end if;\n',
        args.queue, pg_catalog.array_to_string(fields, E',\n      '), from_rows);
    end if;
  end loop;
  branches := branches || E'  end if;\n';

  if by_row then
    if args.skip then
      variables := variables || E'\n  _txid pg_catalog.int8;';
      branches := E'  -- no row is written yet that gave the transaction its xid\n  _txid := pg_catalog.txid_current();\n' || branches;
    end if;
    return pg_catalog.format($source$
declare
  _skip pg_catalog.bool;%5$s
begin
  -- written by pgq.create_fast_trigger for the table with oid %1$s (its name could end this comment)
  if %2$s then
    null;
  else
    if pg_catalog.texteq(TG_OP, 'INSERT') then
      _skip := %3$s2, NEW, null);
    elsif pg_catalog.texteq(TG_OP, 'UPDATE') then
      _skip := %3$s2, NEW, OLD);
    else
      _skip := %3$s2, null, OLD);
    end if;
    if _skip or pg_catalog.texteq(TG_WHEN, 'AFTER') then
      return null;
    elsif pg_catalog.texteq(TG_OP, 'DELETE') then
      return OLD;
    end if;
    return NEW;
  end if;
%4$s%6$send;
$source$, i_table::pg_catalog.oid, usable, classic, branches, variables, leave);
  end if;

  -- The xid comes before the snapshot that reads the queue row: see pgq.insert_event_raw. What is out of the ordinary
  -- goes through pgq.insert_event.
  return pg_catalog.format($source$
declare
  _txid pg_catalog.int8;
  _table pg_catalog.int4;
  _usable pg_catalog.bool;
  _row pg_catalog.record;
begin
  -- written by pgq.create_fast_trigger for the table with oid %1$s (its name could end this comment)
  _usable := %2$s;
  if _usable and pg_catalog.texteq(TG_OP, 'UPDATE') then
    -- both transition tables hold the rows in the order in which they were updated
    if (select pg_catalog.count(*) from new_table) operator(pg_catalog.<=) 200000 then
      _usable := %3$s;
    else
      _usable := not exists (
        select from (select pg_catalog.row_number() over () as "pgq row", * from new_table) n
          join (select pg_catalog.row_number() over () as "pgq row", * from old_table) o
            on o."pgq row" operator(pg_catalog.=) n."pgq row"
         where not (%4$s));
    end if;
  end if;
  if not _usable then
    for part in %5$s loop
      for _row in execute pgq._fast_rows(TG_OP, TG_RELID) loop
        if pg_catalog.texteq(TG_OP, 'INSERT') then
          perform %6$spart, _row.n, null);
        elsif pg_catalog.texteq(TG_OP, 'UPDATE') then
          perform %6$spart, _row.n, _row.o);
        else
          perform %6$spart, null, _row.o);
        end if;
      end loop;
    end loop;
    return null;
  end if;
%7$s%8$s  return null;
end;
$source$, i_table::pg_catalog.oid, usable,
    case when new_keys is null then 'true'
      else pg_catalog.format('(select row(%s) from old_table o) operator(pg_catalog.=) (select row(%s) from new_table n)',
        old_keys, new_keys) end,
    keys_same, case when 'key_update=delete_insert' = any (i_args) then '1 .. 3' else '2 .. 2' end, classic,
    pg_catalog.format($source$  _txid := pg_catalog.txid_current();
  select q.queue_cur_table into _table
      from pgq.queue q
     where q.queue_id operator(pg_catalog.=) %s and pg_catalog.texteq(q.queue_name, %L)
       and pg_catalog.texteq(q.queue_data_pfx, %L) and pg_catalog.texteq(q.queue_event_seq, %L)
       and not q.queue_disable_insert and q.queue_per_tx_limit is null;
$source$, queue.queue_id, queue.queue_name, queue.queue_data_pfx, queue.queue_event_seq), branches);
end;
$$;

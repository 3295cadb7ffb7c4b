-- pgq._fast_insert_source(i_queue pgq.queue, i_fields text[])
--
-- Purpose:    the statements by which a generated row trigger inserts an event. One statement reads the queue's row and
--             inserts, which is half the cost of two. It must name the table, so there is one for each of the queue's.
--             When it is planned, pgq._fast_ctid and pgq._fast_xmin become constants: the place and the version of the
--             queue's row as it was then, where it said that this table is the current one and inserts are as usual. So
--             at each event the row is fetched from its place, and as long as it is that version there is nothing else
--             to ask of it; else the statement inserts nothing and pgq._fast_insert does. No other version of the row
--             can ever have the same place and xmin, unless pgq.queue is rewritten, which throws the plan away.
-- Parameters: i_queue - the queue's row; i_fields - expressions for type, data and extra fields of the event
-- Returns:    PL/pgSQL
-- Calls:      -
-- Tables:     -
create or replace function pgq._fast_insert_source(i_queue pgq.queue, i_fields text[])
returns text language plpgsql stable as $$
declare
  fields constant text := pg_catalog.array_to_string(i_fields, ', ');
  source text := '';
begin
  for t in 0 .. i_queue.queue_ntables - 1 loop
    -- id and xid come by the defaults of the columns: a volatile function in the select would make it a plan of its own
    source := source || pg_catalog.format(
      E'    %1$s pgq._fast_ctid(%2$s) is not null then\n'
      '      insert into %3$s (ev_time, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)\n'
      '      select current_timestamp, %4$s\n'
      '        from pgq.queue q\n'
      '       where q.ctid operator(pg_catalog.=) pgq._fast_ctid(%2$s)\n'
      '         and q.xmin operator(pg_catalog.=) pgq._fast_xmin(%2$s);\n',
      case t when 0 then 'if' else 'elsif' end,
      pg_catalog.format('%s, %L, %s', i_queue.queue_id,
        row(i_queue.queue_name, i_queue.queue_data_pfx, i_queue.queue_event_seq), t),
      pgq.quote_fqname(i_queue.queue_data_pfx || '_' || t), fields);
  end loop;
  return source || pg_catalog.format(
    E'    end if;\n    if not found then\n      perform pgq._fast_insert(%s, %L, %s);\n    end if;\n',
    i_queue.queue_id, i_queue.queue_name, fields);
end;
$$;

-- pgq._fast_ctid(i_queue_id int4, i_names text, i_table int4)
-- pgq._fast_xmin(i_queue_id int4, i_names text, i_table int4)
--
-- Purpose:    place and version of the queue's row, evaluated at planning in the same way as pgq._fast_shape.
-- Parameters: i_queue_id - the queue; i_names, i_table - what its row must say: see pgq._fast_queue
-- Returns:    NULL where it says something else
-- Calls:      pgq._fast_queue
-- Tables:     -
create or replace function pgq._fast_ctid(i_queue_id int4, i_names text, i_table int4)
returns tid language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return (pgq._fast_queue(i_queue_id, i_names, i_table)).place;
end;
$$;

create or replace function pgq._fast_xmin(i_queue_id int4, i_names text, i_table int4)
returns xid language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return (pgq._fast_queue(i_queue_id, i_names, i_table)).version;
end;
$$;

-- pgq._fast_queue(i_queue_id int4, i_names text, i_table int4)
--
-- Purpose:    the row of a queue, if it takes events as usual. Volatile, so as to see what is committed now.
-- Parameters: i_queue_id - the queue; i_names - row(queue_name, queue_data_pfx, queue_event_seq)::text
--             i_table - number of the table that is to be the current one
-- Returns:    ctid and xmin of the row; NULLs if the queue has other names or another current table, inserts are
--             disabled or limited
-- Calls:      -
-- Tables:     reads queue
create or replace function pgq._fast_queue(i_queue_id int4, i_names text, i_table int4, out place tid, out version xid)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  select q.ctid, q.xmin into place, version
    from pgq.queue q
   where q.queue_id = i_queue_id and q.queue_cur_table = i_table
     and row(q.queue_name, q.queue_data_pfx, q.queue_event_seq)::text = i_names
     and not q.queue_disable_insert and q.queue_per_tx_limit is null;
end;
$$;

-- pgq._fast_insert(i_queue_id int4, i_queue text, i_type text, i_data text, i_extra1 text, .. i_extra4 text)
--
-- Purpose:    inserts an event of a generated row trigger whose plans do not know the queue's row as it is: it was changed
--             since, by a rotation for example, or it is not as usual. The session then throws its plans away, so that the
--             next event is planned by the row as it is; once for each version of the row, which a setting remembers.
-- Parameters: i_queue_id, i_queue - the queue; i_type .. i_extra4 - the event
-- Returns:    -
-- Calls:      pgq.insert_event
-- Tables:     reads queue
create or replace function pgq._fast_insert(
  i_queue_id int4, i_queue text, i_type text, i_data text, i_extra1 text, i_extra2 text, i_extra3 text, i_extra4 text)
returns void language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  setting constant text := 'pgq.planned_for_' || i_queue_id;
  version text;
begin
  perform pgq.insert_event(i_queue, i_type, i_data, i_extra1, i_extra2, i_extra3, i_extra4);
  select row(q.ctid, q.xmin)::text into version from pgq.queue q where q.queue_id = i_queue_id;
  if version <> coalesce(pg_catalog.current_setting(setting, true), '') then
    perform pg_catalog.set_config(setting, version, false);
    begin
      discard plans;
    exception
      -- refused where a command runs the trigger restricted, as logical replication may
      when insufficient_privilege then
        null;
    end;
  end if;
end;
$$;

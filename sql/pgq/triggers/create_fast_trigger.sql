-- pgq.create_fast_trigger(i_table regclass, i_queue text, i_format text, i_level text, i_trigger text, variadic i_args text[])
--
-- Purpose:    captures the changes of a table with triggers that are generated for exactly this table. Their events are
--             the same, byte by byte, as those of pgq.logutriga and pgq.jsontriga. Made again, they replace the old ones.
-- Parameters: i_table   - an ordinary table, or with i_level row a partition
--             i_queue   - the queue
--             i_format  - logutriga (default) or jsontriga
--             i_level   - row (default): one call a row; statement: one call a statement, with transition tables
--             i_trigger - name of the trigger (default pgq_<queue>); others made with it get the name and a suffix
--             i_args    - arguments of the classic triggers: ignore=, pkey=, backup, deny, when=, ev_*=, SKIP (row only);
--                         and with statement level key_update=delete_insert: a change of the key is logged as DELETE and
--                         INSERT of the row, first all DELETEs of the statement, last all INSERTs
-- Returns:    name of the trigger
-- Rights:     owner of the table; the rights of pgq_admin on the queue's tables, by which the trigger then inserts,
--             whoever changes the table; CREATE on the table's schema, where the trigger function is made
-- Calls:      pgq.drop_fast_trigger, pgq._fast_source
-- Tables:     reads pgq.queue and catalogs
create or replace function pgq.create_fast_trigger(
  i_table regclass, i_queue text, i_format text default 'logutriga', i_level text default 'row',
  i_trigger text default null, variadic i_args text[] default '{}')
returns text language plpgsql volatile as $$
declare
  format constant text := case i_format when 'logutriga' then 'logu' when 'jsontriga' then 'json' end;
  all_args constant text[] := array[i_queue] || i_args;
  classic_args constant text[] := pg_catalog.array_remove(all_args, 'key_update=delete_insert');
  trigger_name constant text := coalesce(i_trigger, 'pgq_' || i_queue);
  parsed record;
  shape record;
  target record;
  function_name text;
  argument_list text;
  row_type oid;
  key_col text;
  ops text[];
begin
  if format is null then
    raise exception 'format "%" is not supported, use logutriga or jsontriga', i_format;
  elsif i_level not in ('row', 'statement') then
    raise exception 'level "%" is not supported, use row or statement', i_level;
  end if;
  parsed := pgq._trigger_args(classic_args, 'AFTER', 'ROW', 'INSERT');
  if not exists (select from pgq.queue q where q.queue_name = i_queue) then
    raise exception 'No such event queue';
  end if;
  select c.relkind, c.relispartition, n.nspname, c.relname,
      exists (select from pg_catalog.pg_inherits h where c.oid in (h.inhrelid, h.inhparent)) as inherits
    into target
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = i_table;
  if target.relkind = 'p' then
    raise exception 'table "%" is partitioned', i_table
      using hint = 'Create a trigger of level row on each partition, or a classic trigger on the table.';
  elsif target.relkind <> 'r' then
    raise exception '"%" is not a table', i_table;
  elsif i_level = 'statement' and target.inherits then
    raise exception 'table "%" has parents, children or partitions', i_table
      using hint = 'A trigger of level statement would miss rows that reach the table through its parent: use level row.';
  elsif i_level = 'statement' and parsed.skip then
    raise exception 'SKIP needs a trigger of level row';
  elsif i_level = 'row' and 'key_update=delete_insert' = any (i_args) then
    raise exception 'key_update=delete_insert needs a trigger of level statement'
      using hint = 'Row by row, an event for a key that moves on would come after the event of the row that takes it.';
  end if;

  shape := pgq._table_shape(i_table);
  if exists (select from pg_catalog.unnest(shape.cols) c where pg_catalog.starts_with(c, '_pgq_ev_')) then
    raise exception 'table "%" has columns that take the place of event fields', i_table
      using hint = 'Use a classic trigger, or the arguments ev_type= to ev_extra4=.';
  end if;
  foreach key_col in array coalesce(pgq._listed_columns(parsed.pkey, shape.cols), shape.keys) loop
    if i_level = 'statement'
        and not pgq._fast_comparable(shape.types[pg_catalog.array_position(shape.cols, key_col)]) then
      raise exception 'key column "%" has a type that a trigger of level statement cannot compare', key_col
        using hint = 'Use level row.';
    end if;
  end loop;
  for i in 1 .. 7 loop
    continue when coalesce(pg_catalog.btrim(parsed.exprs[i], E' \t\n\r\f\x0b'), '') = '' and (i < 7 or parsed.exprs[i] is null);
    if parsed.exprs[i] ~* '\mselect\M' then
      raise exception 'an expression of a generated trigger cannot hold a sub-select' using hint = 'Use a classic trigger.';
    elsif pg_catalog.btrim(parsed.exprs[i], E' \t\n\r\f\x0b') = '' then
      raise exception 'when= query result must be boolean, got=0';
    end if;
    execute pg_catalog.format(E'select pg_catalog.pg_typeof((%s\n))::oid from (select (null::%s).*) as n',
      pgq._trigger_expr(parsed.exprs[i], shape.cols, 'n'), i_table) into row_type;
    if i = 7 and row_type <> 16 then
      raise exception 'when= query result must be boolean, got=%', row_type;
    end if;
  end loop;
  if not (select pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, 'INSERT'))
            from pg_catalog.pg_inherits h join pg_catalog.pg_class c on c.oid = h.inhrelid
            join pgq.queue q on h.inhparent = pg_catalog.to_regclass(pgq.quote_fqname(q.queue_data_pfx))
           where q.queue_name = i_queue) then
    raise exception 'permission denied for the tables of queue "%"', i_queue
      using errcode = 'insufficient_privilege', hint = 'Ask for membership of pgq_admin.';
  end if;

  perform pgq.drop_fast_trigger(i_table, trigger_name);
  function_name := pg_catalog.format('%I.%I', target.nspname,
    '_pgq_fast_' || format || '_' || pg_catalog.left(pg_catalog.md5(target.relname || ' ' || trigger_name), 16));
  -- expressions find names as they do now, not by the search_path of whoever changes the table
  execute pg_catalog.format('create or replace function %s() returns trigger language plpgsql security definer %s as %L',
    function_name, case when parsed.exprs is not null
      then 'set search_path = ' || pg_catalog.current_setting('search_path') else '' end,
    pgq._fast_source(i_table, format, i_level, all_args));
  execute pg_catalog.format('revoke all on function %s() from public', function_name);

  select pg_catalog.string_agg(pg_catalog.quote_literal(a), ', ' order by i) into argument_list
    from pg_catalog.unnest(all_args) with ordinality as u(a, i);
  if i_level = 'row' then
    execute pg_catalog.format('create trigger %I %s insert or update or delete on %s for each row execute function %s(%s)',
      trigger_name, case when parsed.skip then 'before' else 'after' end, i_table, function_name, argument_list);
  else
    ops := array['insert', 'referencing new table as new_table', 'update',
      'referencing old table as old_table new table as new_table', 'delete', 'referencing old table as old_table'];
    for i in 1 .. 5 by 2 loop
      execute pg_catalog.format('create trigger %I after %s on %s %s for each statement execute function %s(%s)',
        trigger_name || case i when 1 then '' else '_' || ops[i] end, ops[i], i_table, ops[i + 1], function_name,
        argument_list);
    end loop;
  end if;
  execute pg_catalog.format('create trigger %I %s truncate on %s for each statement execute function pgq.%s(%s)',
    trigger_name || '_truncate', case when parsed.skip then 'before' else 'after' end, i_table, i_format,
    pg_catalog.concat_ws(', ', pg_catalog.quote_literal(i_queue), case when parsed.skip then '''SKIP''' end,
      case when parsed.deny then '''deny''' end));
  return trigger_name;
end;
$$;

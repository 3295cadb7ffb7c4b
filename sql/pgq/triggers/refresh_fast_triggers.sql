-- pgq.refresh_fast_triggers(i_table regclass)
--
-- Purpose:    writes the generated triggers again that do not fit their table or queue any more. Until then they work
--             through the classic trigger, which is right but slow.
-- Parameters: i_table - the table; NULL (default) for all of them
-- Returns:    number of triggers written again
-- Rights:     owner of the trigger functions; they keep their owner, with whose rights they run
-- Calls:      pgq._fast_source, pgq._trigger_arguments
-- Tables:     reads pg_trigger, pg_proc
create or replace function pgq.refresh_fast_triggers(i_table regclass default null)
returns int4 language plpgsql volatile as $$
declare
  item record;
  args text[];
  source text;
  refreshed int4 := 0;
begin
  for item in
    select t.tgrelid::regclass as target, t.tgfoid::regprocedure as generated, t.tgargs, p.prosrc,
        pg_catalog.substr(p.proconfig[1], pg_catalog.length('search_path=') + 1) as path,
        case when p.proname like '\_pgq\_fast\_json\_%' then 'json' else 'logu' end as format,
        case when t.tgtype & 1 = 1 then 'row' else 'statement' end as level
      from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
     where pg_catalog.starts_with(p.proname, '_pgq_fast_') and not t.tgisinternal
       and t.tgtype & 4 = 4  -- the one for INSERT
       and (i_table is null or t.tgrelid = i_table)
     order by t.tgrelid, t.tgname
  loop
    args := pgq._trigger_arguments(item.tgargs);
    continue when not exists (select from pgq.queue q where q.queue_name = args[1]);
    source := pgq._fast_source(item.target, item.format, item.level, args);
    if item.prosrc <> source then
      execute pg_catalog.format('create or replace function %s returns trigger language plpgsql security definer %s as %L',
        item.generated, 'set search_path = ' || item.path, source);
      refreshed := refreshed + 1;
    end if;
  end loop;
  return refreshed;
end;
$$;

-- pgq._trigger_arguments(i_tgargs bytea)
--
-- Purpose:    the arguments of a trigger as pg_trigger.tgargs holds them
-- Parameters: i_tgargs - each argument ends with a zero byte
-- Returns:    the arguments
-- Calls:      -
-- Tables:     -
create or replace function pgq._trigger_arguments(i_tgargs bytea)
returns text[] language plpgsql immutable strict parallel safe as $$
declare
  rest bytea := i_tgargs;
  stop int4;
  args text[] := '{}';
begin
  loop
    stop := position('\x00'::bytea in rest);
    exit when stop = 0;
    args := args || pg_catalog.convert_from(substring(rest from 1 for stop - 1),
      pg_catalog.getdatabaseencoding());
    rest := substring(rest from stop + 1);
  end loop;
  return args;
end;
$$;

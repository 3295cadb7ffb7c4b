-- pgq.drop_fast_trigger(i_table regclass, i_trigger text)
--
-- Purpose:    drops the triggers that pgq.create_fast_trigger made under this name, and their function.
-- Parameters: i_table - the table; i_trigger - name of the trigger
-- Returns:    1 if dropped, 0 if there was none
-- Calls:      -
-- Tables:     reads pg_trigger, pg_proc
create or replace function pgq.drop_fast_trigger(i_table regclass, i_trigger text)
returns int4 language plpgsql volatile as $$
declare
  generated regprocedure;
  name text;
begin
  select t.tgfoid::regprocedure into generated
    from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
   where t.tgrelid = i_table and t.tgname = i_trigger and not t.tgisinternal
     and pg_catalog.starts_with(p.proname, '_pgq_fast_');
  if generated is null then
    return 0;
  end if;
  for name in
    select t.tgname from pg_catalog.pg_trigger t
     where t.tgrelid = i_table and not t.tgisinternal
       and (t.tgfoid = generated or t.tgname = i_trigger || '_truncate')
  loop
    execute pg_catalog.format('drop trigger %I on %s', name, i_table);
  end loop;
  execute 'drop function ' || generated;
  return 1;
end;
$$;

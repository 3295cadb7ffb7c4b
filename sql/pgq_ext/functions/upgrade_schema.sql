-- pgq_ext.upgrade_schema() -> int4
--
-- Brings tables of an earlier layout, keyed by consumer alone, to the present one.
--
-- Returns: number of changes made: one for each table that got subconsumer_id and its new
--   primary key, one for each default set. 0 when everything is as it should be
-- Tables written: definitions of the four tables of pgq_ext
create or replace function pgq_ext.upgrade_schema()
returns int4
language plpgsql
as $$
declare
    v_changes int4 := 0;
    v_table   text;
    v_keys    text;
    v_pkey    text;
begin
    for v_table, v_keys in
        values ('completed_tick', ''), ('completed_batch', ''),
               ('completed_event', ', batch_id, event_id'), ('partial_batch', '')
    loop
        if not exists (
            select 1 from pg_catalog.pg_attribute a
             where a.attrelid = format('pgq_ext.%I', v_table)::regclass
               and a.attname = 'subconsumer_id' and not a.attisdropped)
        then
            execute format('alter table pgq_ext.%I add column subconsumer_id text not null default %L',
                           v_table, '');
            select c.conname into v_pkey
              from pg_catalog.pg_constraint c
             where c.conrelid = format('pgq_ext.%I', v_table)::regclass and c.contype = 'p';
            if found then
                execute format('alter table pgq_ext.%I drop constraint %I', v_table, v_pkey);
            end if;
            execute format('alter table pgq_ext.%I add constraint %I primary key (consumer_id, subconsumer_id%s)',
                           v_table, v_table || '_pkey', v_keys);
            v_changes := v_changes + 2;
        elsif not exists (
            select 1 from pg_catalog.pg_attribute a
             where a.attrelid = format('pgq_ext.%I', v_table)::regclass
               and a.attname = 'subconsumer_id' and a.atthasdef)
        then
            execute format('alter table pgq_ext.%I alter column subconsumer_id set default %L', v_table, '');
            v_changes := v_changes + 1;
        end if;
    end loop;
    return v_changes;
end;
$$;

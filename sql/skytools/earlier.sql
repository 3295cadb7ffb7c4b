-- States of this project before its first release to the present one; does nothing to any other installation. Functions
-- whose result type changed are the installer's business.
do $$
begin
    -- Given up since.
    drop function if exists pgq._insert_ticks(integer[]), pgq._fast_value(text, text, oid, oid),
        pgq._fast_same(text, oid, oid, text, text), pgq._fast_data(text, text, text[], oid[], oid[], boolean),
        londiste.take_off_structure(bigint, boolean);

    -- A copy in progress had no number of its own once, and cannot be told on: its table is copied again. What was taken off
    -- it stays in table_info.dropped_ddl, where the next plan finds it.
    if exists (select from pg_catalog.pg_class c
                where c.oid = pg_catalog.to_regclass('londiste.copy_job')
                  and not exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = 'job_id')) then
        update londiste.table_info t
           set merge_state = null
          from londiste.copy_job j
         where t.queue_name = j.queue_name and t.table_name = j.table_name
           and t.merge_state <> 'ok';
        drop table londiste.copy_chunk, londiste.copy_job;
    end if;
    alter table if exists londiste.copy_job add column if not exists until_snapshot txid_snapshot;

    -- Which tick brought a queue's first event was not kept: one before all there are.
    if exists (select from pg_catalog.pg_class c
                where c.oid = pg_catalog.to_regclass('pgq._first_event_tick')
                  and not exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = 'tick_id')) then
        alter table pgq._first_event_tick add column tick_id bigint not null default 0;
        alter table pgq._first_event_tick alter column tick_id drop default;
    end if;
end;
$$;

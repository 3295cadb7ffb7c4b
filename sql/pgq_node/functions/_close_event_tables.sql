-- pgq_node._close_event_tables(i_queue_name, i_close) -> void
--
-- Closes the event tables of a queue to producers, or opens them again. queue_disable_insert alone
-- does not suffice: a producer that read the queue's row before (a repeatable read transaction may
-- have done so long ago) would write after the last tick, and its event would stay here for ever.
-- A trigger is seen by everybody who locks the table after it was made, whatever their snapshot.
--
-- Opening leaves a disabled trigger behind: to drop it would mean to wait for readers.
--
-- Tables locked: the queue's event tables, against writers
create or replace function pgq_node._close_event_tables(i_queue_name text, i_close boolean)
returns void
language plpgsql
as $$
declare
    v_table regclass;
    v_there boolean;
begin
    for v_table, v_there in
        select format('%s_%s', q.queue_data_pfx, n.nr)::regclass,
               exists (select 1 from pg_catalog.pg_trigger t
                        where t.tgrelid = format('%s_%s', q.queue_data_pfx, n.nr)::regclass
                          and t.tgname = '_demoted')
          from pgq.queue q
          cross join lateral generate_series(0, q.queue_ntables - 1) n (nr)
         where q.queue_name = i_queue_name
         order by n.nr
    loop
        if v_there then
            execute format('alter table %s %s trigger _demoted', v_table,
                           case when i_close then 'enable' else 'disable' end);
        elsif i_close then
            execute format('create trigger _demoted before insert on %s for each statement'
                           ' execute procedure pgq_node._refuse_events()', v_table);
        end if;
    end loop;
end;
$$;

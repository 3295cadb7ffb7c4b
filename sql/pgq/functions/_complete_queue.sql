-- pgq._complete_queue(i_queue_id)
--
-- What a queue needs beside the objects that every PgQ knows: the rotation marker and the generated insert function.
-- Queues that another installation made get them here too.
-- The marker is a sequence that holds the xid of the last rotation step 1. Sequences obey no snapshot, so a producer at
-- REPEATABLE READ can see in it that its view of the queue is out of date.
-- Calls: pgq._generate_insert()
-- Writes: pg_class, pg_proc
create or replace function pgq._complete_queue(i_queue_id integer)
returns void as $$
declare
    _queue record;
    _marker text;
begin
    select q.queue_data_pfx, q.queue_switch_step1
      into _queue
      from pgq.queue q
     where q.queue_id = i_queue_id;
    _marker := pgq.quote_fqname(_queue.queue_data_pfx || '_switch_seq');
    if pg_catalog.to_regclass(_marker) is null then
        execute 'create sequence ' || _marker;
        perform pg_catalog.setval(_marker::regclass, _queue.queue_switch_step1);
        execute 'grant select on ' || _marker || ' to public';
        if pg_catalog.to_regrole('pgq_admin') is not null then
            execute 'grant update on ' || _marker || ' to pgq_admin';
        end if;
    end if;
    perform pgq._generate_insert(i_queue_id);
end;
$$ language plpgsql;

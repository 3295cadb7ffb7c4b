-- pgq.tune_storage(i_queue_name)
--
-- Storage settings of event tables: rows are never updated, and tables are truncated instead of vacuumed.
-- Returns: 1 - done, 0 - no such queue
-- Writes: pg_class
create or replace function pgq.tune_storage(i_queue_name text)
returns integer as $$
declare
    _queue record;
begin
    select q.queue_data_pfx, q.queue_ntables
      into _queue
      from pgq.queue q
     where q.queue_name = i_queue_name;
    if not found then
        return 0;
    end if;
    for _n in 0 .. _queue.queue_ntables - 1 loop
        execute 'alter table ' || pgq.quote_fqname(_queue.queue_data_pfx || '_' || _n)
            || ' set (fillfactor = 100, autovacuum_enabled = off, toast.autovacuum_enabled = off)';
    end loop;
    return 1;
end;
$$ language plpgsql strict;

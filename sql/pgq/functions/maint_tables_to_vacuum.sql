-- pgq.maint_tables_to_vacuum()
--
-- Tables that change all the time and need a VACUUM of their own where autovacuum is off.
-- Returns: table names; none while autovacuum is on
create or replace function pgq.maint_tables_to_vacuum()
returns setof text as $$
begin
    if pg_catalog.current_setting('autovacuum') = 'on' then
        return;
    end if;
    return query
        select name
          from pg_catalog.unnest(array[
                   'pgq.subscription', 'pgq.consumer', 'pgq.queue', 'pgq.tick', 'pgq.retry_queue',
                   'pgq_ext.completed_tick', 'pgq_ext.completed_batch', 'pgq_ext.completed_event',
                   'pgq_ext.partial_batch', 'pgq_node.local_state', 'londiste.seq_info', 'londiste.completed',
                   'txid.epoch']) with ordinality as t (name, position)
         where pg_catalog.to_regclass(name) is not null
         order by position;
end;
$$ language plpgsql;

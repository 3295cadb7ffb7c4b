-- pgq.current_event_table(x_queue_name)
--
-- Table for direct INSERT or COPY into a queue, valid until the end of the calling transaction.
-- Returns: name such as pgq.event_2_0
-- Calls: pgq._replication_role(), pgq._check_switch()
create or replace function pgq.current_event_table(x_queue_name text)
returns text as $$
declare
    -- before the snapshot that reads the queue row, as in insert_event_raw
    _txid bigint := pg_catalog.txid_current();
    _queue record;
begin
    select q.queue_data_pfx, q.queue_cur_table, q.queue_disable_insert, q.queue_switch_step1
      into _queue
      from pgq.queue q
     where q.queue_name = x_queue_name;
    if not found then
        raise exception 'Event queue not found';
    end if;
    if _queue.queue_disable_insert and pgq._replication_role() <> 'replica' then
        raise exception 'Writing to queue disabled';
    end if;
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
        perform pgq._check_switch(_queue.queue_data_pfx, _queue.queue_switch_step1);
    end if;
    return _queue.queue_data_pfx || '_' || _queue.queue_cur_table;
end;
$$ language plpgsql;

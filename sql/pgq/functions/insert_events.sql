-- pgq.insert_events(queue_name, types, datas, extra1s, extra2s, extra3s, extra4s)
--
-- Writes many events into a queue in one statement, with the rights of the queue's owner. Their ids follow the order of
-- the arrays. All is as if pgq.insert_event had been called for each: queues that accept no inserts, the limit of
-- events per transaction, rotation while a transaction at REPEATABLE READ is open.
-- Parameters: queue_name; types and datas - one element for each event; the extra fields - arrays of the same length,
--   or NULL where all events have NULL there
-- Returns: number of events
-- Calls: pgq._replication_role(), pgq._check_tx_limit(), pgq._check_switch()
-- Writes: the current event table, the event sequence
create or replace function pgq.insert_events(
    queue_name text, types text[], datas text[], extra1s text[] default null, extra2s text[] default null,
    extra3s text[] default null, extra4s text[] default null)
returns bigint as $$
#variable_conflict use_variable
declare
    -- before the snapshot that reads the queue row, as in insert_event_raw
    _txid bigint := pg_catalog.txid_current();
    _count bigint := pg_catalog.cardinality(types);
    _queue record;
    _columns text := '';
    _arrays text := '';
begin
    if _count is null then
        raise exception 'types must not be NULL' using errcode = 'null_value_not_allowed';
    end if;
    if datas is null then
        raise exception 'datas must not be NULL' using errcode = 'null_value_not_allowed';
    end if;
    if pg_catalog.cardinality(datas) <> _count
       or pg_catalog.cardinality(extra1s) <> _count or pg_catalog.cardinality(extra2s) <> _count
       or pg_catalog.cardinality(extra3s) <> _count or pg_catalog.cardinality(extra4s) <> _count then
        raise exception 'the arrays differ in length' using errcode = 'array_subscript_error',
            hint = 'Give one element for each event, or NULL instead of an array of extra fields.';
    end if;

    select q.queue_id, q.queue_cur_table, q.queue_disable_insert, q.queue_per_tx_limit, q.queue_data_pfx,
           q.queue_event_seq, q.queue_switch_step1
      into _queue
      from pgq.queue q
     where q.queue_name = queue_name;
    if not found then
        if queue_name is null then
            raise exception 'Queue name must not be NULL';
        end if;
        raise exception 'No such queue';
    end if;
    if _count = 0 then
        return 0;
    end if;
    if _queue.queue_disable_insert and pgq._replication_role() <> 'replica' then
        raise exception 'Insert into queue disallowed';
    end if;
    if _queue.queue_per_tx_limit >= 0 then
        perform pgq._check_tx_limit(_queue.queue_id, queue_name, _queue.queue_per_tx_limit, _queue.queue_event_seq)
           from pg_catalog.generate_series(1, _count);
    end if;
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
        perform pgq._check_switch(_queue.queue_data_pfx, _queue.queue_switch_step1);
    end if;

    -- a column that is NULL everywhere costs less when it is left out
    if extra1s is not null then
        _columns := _columns || ', ev_extra1';
        _arrays := _arrays || ', $5';
    end if;
    if extra2s is not null then
        _columns := _columns || ', ev_extra2';
        _arrays := _arrays || ', $6';
    end if;
    if extra3s is not null then
        _columns := _columns || ', ev_extra3';
        _arrays := _arrays || ', $7';
    end if;
    if extra4s is not null then
        _columns := _columns || ', ev_extra4';
        _arrays := _arrays || ', $8';
    end if;
    execute 'insert into ' || pgq.quote_fqname(_queue.queue_data_pfx || '_' || _queue.queue_cur_table)
        || ' (ev_id, ev_time, ev_txid, ev_type, ev_data' || _columns || ')'
        || ' select pg_catalog.nextval($1), pg_catalog.now(), $2, e.* from unnest($3, $4' || _arrays || ') e'
        using _queue.queue_event_seq::regclass, _txid, types, datas, extra1s, extra2s, extra3s, extra4s;
    return _count;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

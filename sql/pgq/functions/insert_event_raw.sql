-- pgq.insert_event_raw(11)
--
-- Writes one event with all its fields into the queue's current table. insert_event does the same by shorter ways, and
-- comes here with everything that is out of the ordinary.
-- Parameters: queue_name; ev_id - NULL: the next of the queue's sequence; ev_time - NULL: now(); ev_owner - NULL for
--   all consumers, else the sub_id that gets it; ev_retry - deliveries so far; the event's fields
-- Returns: event id
-- Calls: pgq._replication_role(), pgq._check_switch(), pgq._check_tx_limit(), pgq._insert_dispatch() or dynamic SQL
-- Writes: the current event table, the event sequence
create or replace function pgq.insert_event_raw(
    queue_name text, ev_id bigint, ev_time timestamptz, ev_owner integer, ev_retry integer, ev_type text, ev_data text,
    ev_extra1 text, ev_extra2 text, ev_extra3 text, ev_extra4 text)
returns bigint as $$
#variable_conflict use_variable
declare
    -- The xid comes before the snapshot that reads the queue row. Were it the other way round, a rotation could run in
    -- between, and the event would lie in the old table under an xid that is looked for only in the new one.
    _txid bigint := pg_catalog.txid_current();
    _queue_id integer;
    _table integer;
    _disabled boolean;
    _limit integer;
    _prefix text;
    _sequence text;
    _step1 bigint;
    _id bigint;
begin
    select q.queue_id, q.queue_cur_table, q.queue_disable_insert, q.queue_per_tx_limit, q.queue_data_pfx,
           q.queue_event_seq, q.queue_switch_step1
      into _queue_id, _table, _disabled, _limit, _prefix, _sequence, _step1
      from pgq.queue q
     where q.queue_name = queue_name;
    if _queue_id is null then
        if queue_name is null then
            raise exception 'Queue name must not be NULL';
        end if;
        raise exception 'No such queue';
    end if;

    -- a refused event uses up its id, as it always did
    if _disabled and pgq._replication_role() <> 'replica' then
        perform pg_catalog.nextval(_sequence::regclass);
        raise exception 'Insert into queue disallowed';
    end if;
    if _limit >= 0 then
        perform pgq._check_tx_limit(_queue_id, queue_name, _limit, _sequence);
    end if;
    if pg_catalog.current_setting('transaction_isolation') <> 'read committed' then
        perform pgq._check_switch(_prefix, _step1);
    end if;

    _id := pg_catalog.nextval(_sequence::regclass);
    if ev_id is not null then
        _id := ev_id;
    end if;
    execute 'insert into ' || pgq.quote_fqname(_prefix || '_' || _table)
        || ' (ev_id, ev_time, ev_txid, ev_owner, ev_retry,'
        || ' ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)'
        || ' values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)'
        using _id, coalesce(ev_time, pg_catalog.now()), _txid, ev_owner, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2,
            ev_extra3, ev_extra4;
    return _id;
end;
$$ language plpgsql set search_path = pg_catalog, pg_temp;

-- pgq.batch_event_sql(x_batch_id)
--
-- The query for a batch's events: those visible in the snapshot of its end tick and not in that of its start tick.
--
-- A scan from the start snapshot's xmin would be enough, but a transaction that stays open for hours holds xmin back,
-- and each batch would read again all that came since. So the scan begins at xmax of the start snapshot; of the
-- transactions that ran when the start tick was made and have ended since, those within 100 xids below the scan's
-- beginning move it down, the others are looked up one by one. They need no visibility test: they have ended, and what
-- an aborted one wrote nobody sees. Tests that a range cannot fail are left out: they cost more than the scan.
-- The values stand in the query as literals: event tables have no statistics, a generic plan could not use them.
--
-- Returns: SELECT statement, which ends in " order by 1"
-- Calls: pgq.batch_event_tables(), pgq.quote_fqname()
create or replace function pgq.batch_event_sql(x_batch_id bigint)
returns text as $$
declare
    -- below this distance reading the rows in between costs less than another index search
    _near constant integer := 100;
    _batch record;
    _low bigint;
    _xid bigint;
    _single bigint[] := '{}';
    _where text;
    _owner text;
    _table text;
    _parts text[] := '{}';
begin
    select s.sub_id, last.tick_snapshot as last, cur.tick_snapshot as cur, k.slot_key, k.slot_number, k.slot_count
      into _batch
      from pgq.subscription s
      join pgq.tick last on last.tick_queue = s.sub_queue and last.tick_id = s.sub_last_tick
      join pgq.tick cur on cur.tick_queue = s.sub_queue and cur.tick_id = s.sub_next_tick
      left join pgq.key_slot k on k.slot_queue = s.sub_queue and k.slot_consumer = s.sub_consumer
     where s.sub_batch = x_batch_id;
    if not found then
        raise exception 'batch not found';
    end if;

    _low := pg_catalog.txid_snapshot_xmax(_batch.last);
    for _xid in
        select xip from pg_catalog.txid_snapshot_xip(_batch.last) xip
        except
        select xip from pg_catalog.txid_snapshot_xip(_batch.cur) xip
        order by 1 desc
    loop
        if _xid >= _low - _near then
            _low := _xid;
        else
            _single := _single || _xid;
        end if;
    end loop;

    _owner := pg_catalog.format('(ev_owner is null or ev_owner = %s)', _batch.sub_id);
    if _batch.slot_key is not null then
        -- The function by which PostgreSQL finds the partition of a row, and so the same in every version of it.
        _owner := _owner || pg_catalog.format(
            ' and ((pg_catalog.hashtextextended(coalesce(%s, ev_id::text) collate pg_catalog."C", 0) %% %s) + %2$s) %% %2$s = %s',
            _batch.slot_key, _batch.slot_count, _batch.slot_number - 1);
    end if;
    _where := pg_catalog.format('ev_txid >= %s and ev_txid < %s', _low, pg_catalog.txid_snapshot_xmax(_batch.cur));
    if exists (select from pg_catalog.txid_snapshot_xip(_batch.cur) xip where xip >= _low) then
        _where := _where
            || pg_catalog.format(' and pg_catalog.txid_visible_in_snapshot(ev_txid, %L)', _batch.cur::text);
    end if;
    if _low < pg_catalog.txid_snapshot_xmax(_batch.last) then
        _where := _where
            || pg_catalog.format(' and not pg_catalog.txid_visible_in_snapshot(ev_txid, %L)', _batch.last::text);
    end if;

    for _table in select t from pgq.batch_event_tables(x_batch_id) t loop
        _table := pg_catalog.format(
            'select ev_id, ev_time, ev_txid, ev_retry, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4'
            ' from %s where ', pgq.quote_fqname(_table));
        _parts := _parts || (_table || _where || ' and ' || _owner);
        if _single <> '{}' then
            _parts := _parts || (_table || 'ev_txid in (' || pg_catalog.array_to_string(_single, ',') || ') and ' || _owner);
        end if;
    end loop;
    if _parts = '{}' then
        raise exception 'could not construct sql for batch %', x_batch_id;
    end if;
    return pg_catalog.array_to_string(_parts, ' union all ') || ' order by 1';
end;
$$ language plpgsql;

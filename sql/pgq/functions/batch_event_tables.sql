-- pgq.batch_event_tables(x_batch_id)
--
-- Tables that may hold events of a batch: the current one, the previous one, or both, previous first. A transaction
-- older than the last switch wrote to the previous table, one newer than its second step to the current table.
-- Returns: table names
create or replace function pgq.batch_event_tables(x_batch_id bigint)
returns setof text as $$
declare
    _batch record;
begin
    select q.queue_data_pfx, q.queue_cur_table, q.queue_ntables, q.queue_switch_step1, q.queue_switch_step2,
           pg_catalog.txid_snapshot_xmin(last.tick_snapshot) as last_xmin,
           pg_catalog.txid_snapshot_xmax(cur.tick_snapshot) as cur_xmax
      into _batch
      from pgq.subscription s
      join pgq.queue q on q.queue_id = s.sub_queue
      join pgq.tick last on last.tick_queue = s.sub_queue and last.tick_id = s.sub_last_tick
      join pgq.tick cur on cur.tick_queue = s.sub_queue and cur.tick_id = s.sub_next_tick
     where s.sub_batch = x_batch_id;
    if not found then
        raise exception 'Cannot find data for batch %', x_batch_id;
    end if;

    if _batch.cur_xmax < _batch.queue_switch_step1
       or _batch.queue_switch_step2 is null
       or _batch.last_xmin <= _batch.queue_switch_step2 then
        return next _batch.queue_data_pfx || '_'
            || (_batch.queue_cur_table + _batch.queue_ntables - 1) % _batch.queue_ntables;
    end if;
    if _batch.cur_xmax >= _batch.queue_switch_step1 then
        return next _batch.queue_data_pfx || '_' || _batch.queue_cur_table;
    end if;
end;
$$ language plpgsql;

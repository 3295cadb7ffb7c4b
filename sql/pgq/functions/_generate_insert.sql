-- pgq._generate_insert(i_queue_id)
--
-- Dynamic SQL is parsed and planned at every call, which costs more than the insert itself. So each queue has a
-- function with static statements, pgq._insert_<queue id>, which reads the queue row and inserts into the table it names.
-- It runs with the rights of the owner under the caller's search_path, so every name and operator in it is qualified.
-- Parameters of it: hash and name of the queue, xid, the event's fields. It returns the event id, or NULL and has done
-- nothing when the queue row says anything out of the ordinary: another name or table, inserts disabled, a limit;
-- then, and at other isolation levels than READ COMMITTED, insert_event_raw decides.
--
-- Parameters: i_queue_id - queue
-- Writes: pg_proc
create or replace function pgq._generate_insert(i_queue_id integer)
returns void as $$
declare
    _parameters constant text := 'integer, text, bigint, text, text, text, text, text, text';
    _name constant text := 'pgq._insert_' || i_queue_id;
    _queue record;
    _inserts text;
begin
    select q.queue_ntables, q.queue_data_pfx, q.queue_event_seq
      into _queue
      from pgq.queue q
     where q.queue_id = i_queue_id;
    select pg_catalog.string_agg(pg_catalog.format($branch$
    %sif _table operator(pg_catalog.=) %s then
        insert into %s (ev_id, ev_time, ev_txid, ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4)
        values (pg_catalog.nextval(%L::pg_catalog.regclass), pg_catalog.now(), $3, $4, $5, $6, $7, $8, $9)
        returning ev_id into _id;$branch$,
               case when n > 0 then 'els' end, n, pgq.quote_fqname(_queue.queue_data_pfx || '_' || n),
               _queue.queue_event_seq), '' order by n)
      into _inserts
      from pg_catalog.generate_series(0, _queue.queue_ntables - 1) n;
    execute pg_catalog.format('create or replace function %s(%s) returns bigint as %L language plpgsql',
        _name, _parameters, pg_catalog.format($body$
declare
    _table integer;
    _id bigint;
begin
    select q.queue_cur_table
      into _table
      from pgq.queue q
     where q.queue_id operator(pg_catalog.=) %s
       and q.queue_name operator(pg_catalog.=) $2
       and not q.queue_disable_insert
       and q.queue_per_tx_limit is null
       and q.queue_data_pfx operator(pg_catalog.=) %L
       and q.queue_event_seq operator(pg_catalog.=) %L
       and pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) 'read committed';%s
    end if;
    return _id;
end;
$body$, i_queue_id, _queue.queue_data_pfx, _queue.queue_event_seq, _inserts));
    execute pg_catalog.format('revoke all on function %s(%s) from public', _name, _parameters);
end;
$$ language plpgsql;

-- pgq.drop_queue(x_queue_name, x_force)
--
-- Drops a queue with its tables, sequences and ticks. Locks are taken in the order that rotation, registration and the
-- ticker use: queue row, subscriptions, event tables.
-- Parameters: x_force - drop it even with consumers attached
-- Returns: 1
-- Calls: pgq.unregister_consumer(), pgq._generate_dispatch()
-- Writes: pgq.queue, pgq.tick, pgq.subscription, pgq.consumer, pgq.retry_queue, pgq.delayed_event, pgq.event_key,
--   pg_class, pg_proc
create or replace function pgq.drop_queue(x_queue_name text, x_force boolean)
returns integer as $$
declare
    _queue record;
    _consumer text;
begin
    select q.queue_id, q.queue_data_pfx, q.queue_event_seq, q.queue_tick_seq, q.queue_ntables
      into _queue
      from pgq.queue q
     where q.queue_name = x_queue_name
       for update;
    if not found then
        raise exception 'No such event queue';
    end if;

    if x_force then
        for _consumer in
            select c.co_name
              from pgq.subscription s
              join pgq.consumer c on c.co_id = s.sub_consumer
             where s.sub_queue = _queue.queue_id
             order by c.co_name
        loop
            perform pgq.unregister_consumer(x_queue_name, _consumer);
        end loop;
    elsif exists (select from pgq.subscription s where s.sub_queue = _queue.queue_id) then
        raise exception 'cannot drop queue, consumers still attached';
    end if;

    for _n in 0 .. _queue.queue_ntables - 1 loop
        execute 'drop table ' || pgq.quote_fqname(_queue.queue_data_pfx || '_' || _n);
    end loop;
    execute 'drop table ' || pgq.quote_fqname(_queue.queue_data_pfx);
    delete from pgq.tick t where t.tick_queue = _queue.queue_id;
    delete from pgq.retry_queue r where r.ev_queue = _queue.queue_id;
    execute 'drop sequence ' || pgq.quote_fqname(_queue.queue_tick_seq);
    execute 'drop sequence ' || pgq.quote_fqname(_queue.queue_event_seq);
    execute 'drop sequence if exists ' || pgq.quote_fqname(_queue.queue_data_pfx || '_switch_seq');
    delete from pgq.queue q where q.queue_id = _queue.queue_id;
    perform pgq._generate_dispatch(x_queue_name);
    execute format('drop function if exists pgq._insert_%s(integer, text, bigint, text, text, text, text, text, text)',
        _queue.queue_id);
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq.drop_queue(x_queue_name)
--
-- Drops a queue that has no consumers.
-- Calls: pgq.drop_queue(2)
create or replace function pgq.drop_queue(x_queue_name text)
returns integer as $$
begin
    return pgq.drop_queue(x_queue_name, false);
end;
$$ language plpgsql strict;

-- pgq.force_tick(i_queue_name)
--
-- Makes the next call of the ticker tick, by moving the event sequence far ahead. Nothing happens on queues that are
-- paused or ticked from outside. Callers repeat it until the id changes.
-- Returns: id of the last tick, NULL for an unknown queue
-- Writes: event sequence
create or replace function pgq.force_tick(i_queue_name text)
returns bigint as $$
declare
    _queue record;
begin
    select q.queue_id, q.queue_event_seq, q.queue_ticker_max_count, q.queue_external_ticker, q.queue_ticker_paused
      into _queue
      from pgq.queue q
     where q.queue_name = i_queue_name;
    if _queue.queue_external_ticker is false and _queue.queue_ticker_paused is false then
        perform setval(_queue.queue_event_seq::regclass,
            nextval(_queue.queue_event_seq::regclass) + _queue.queue_ticker_max_count * 2 + 1000);
    end if;
    return (select t.tick_id
              from pgq.tick t
             where t.tick_queue = _queue.queue_id
             order by t.tick_queue desc, t.tick_id desc
             limit 1);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

-- pgq._check_tx_limit(i_queue_id, i_queue_name, i_limit, i_sequence)
--
-- Counts one more event of this transaction for the queue. The count is a setting local to the transaction, so it
-- costs nothing where no limit is set and vanishes with the transaction. What a savepoint takes back is not counted; the
-- C extension counts it.
-- Parameters: the queue's queue_id, queue_name, queue_per_tx_limit and queue_event_seq
-- Raises: when the transaction would have more events than the limit; an event id is used up as for any refused event
create or replace function pgq._check_tx_limit(
    i_queue_id integer, i_queue_name text, i_limit integer, i_sequence text)
returns void as $$
declare
    _setting text := 'pgq.tx_events_' || i_queue_id;
    _count integer := coalesce(nullif(pg_catalog.current_setting(_setting, true), ''), '0')::integer + 1;
begin
    if _count > i_limit then
        perform pg_catalog.nextval(i_sequence::regclass);
        raise exception 'Queue ''%'' allows max % events from one TX', i_queue_name, i_limit;
    end if;
    perform pg_catalog.set_config(_setting, _count::text, true);
end;
$$ language plpgsql;

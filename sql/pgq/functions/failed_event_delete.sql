-- pgq.failed_event_delete(x_queue_name, x_consumer_name, x_event_id)
--
-- Throws a dead letter away.
-- Returns: 1
-- Raises: 'no such queue/consumer', 'event not found'
-- Calls: pgq._subscription_of()
-- Writes: pgq.failed_queue
create or replace function pgq.failed_event_delete(x_queue_name text, x_consumer_name text, x_event_id bigint)
returns integer as $$
declare
    _owner constant integer := pgq._subscription_of(x_queue_name, x_consumer_name);
begin
    delete from pgq.failed_queue f where f.ev_owner = _owner and f.ev_id = x_event_id;
    if not found then
        raise exception 'event not found';
    end if;
    return 1;
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

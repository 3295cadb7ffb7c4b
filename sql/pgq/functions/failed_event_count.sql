-- pgq.failed_event_count(x_queue_name, x_consumer_name)
--
-- Number of dead letters of a consumer.
-- Raises: 'no such queue/consumer'
-- Calls: pgq._subscription_of()
create or replace function pgq.failed_event_count(x_queue_name text, x_consumer_name text)
returns integer as $$
declare
    _owner constant integer := pgq._subscription_of(x_queue_name, x_consumer_name);
begin
    return (select count(*) from pgq.failed_queue f where f.ev_owner = _owner);
end;
$$ language plpgsql stable security definer set search_path = pg_catalog, pg_temp;

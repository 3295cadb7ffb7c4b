-- pgq.failed_event_list(x_queue_name, x_consumer_name)
--
-- The dead letters of a consumer, by event id.
-- Raises: 'no such queue/consumer'
-- Calls: pgq._subscription_of()
create or replace function pgq.failed_event_list(x_queue_name text, x_consumer_name text)
returns setof pgq.failed_queue as $$
declare
    _owner constant integer := pgq._subscription_of(x_queue_name, x_consumer_name);
begin
    return query select f.* from pgq.failed_queue f where f.ev_owner = _owner order by f.ev_id;
end;
$$ language plpgsql stable security definer set search_path = pg_catalog, pg_temp;

-- pgq.failed_event_list(x_queue_name, x_consumer_name, x_count, x_offset)
--
-- A part of the same.
-- Parameters: x_count - how many at most; x_offset - how many to leave out first
create or replace function pgq.failed_event_list(x_queue_name text, x_consumer_name text, x_count integer, x_offset integer)
returns setof pgq.failed_queue as $$
declare
    _owner constant integer := pgq._subscription_of(x_queue_name, x_consumer_name);
begin
    return query
        select f.* from pgq.failed_queue f where f.ev_owner = _owner order by f.ev_id limit x_count offset x_offset;
end;
$$ language plpgsql stable security definer set search_path = pg_catalog, pg_temp;

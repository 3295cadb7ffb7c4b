-- pgq._subscription_of(i_queue_name, i_consumer_name)
--
-- The sub_id under which a consumer's retries and dead letters are kept.
-- Raises: 'no such queue/consumer'
create or replace function pgq._subscription_of(i_queue_name text, i_consumer_name text)
returns integer as $$
declare
    _owner integer;
begin
    select s.sub_id
      into _owner
      from pgq.queue q
      join pgq.subscription s on s.sub_queue = q.queue_id
      join pgq.consumer c on c.co_id = s.sub_consumer
     where q.queue_name = i_queue_name and c.co_name = i_consumer_name;
    if not found then
        raise exception 'no such queue/consumer';
    end if;
    return _owner;
end;
$$ language plpgsql stable security definer set search_path = pg_catalog, pg_temp;

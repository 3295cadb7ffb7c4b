-- pgq.unregister_consumer(x_queue_name, x_consumer_name)
--
-- Ends a subscription: that of a member of a cooperative consumer alone, that of a whole group with all its members,
-- that of an ordinary consumer. Retry events, dead letters and the retry policy go with the group. Consumer names without
-- any subscription are forgotten.
-- Returns: number of subscriptions that ended, 0 if there was none
-- Calls: pgq._is_member()
-- Writes: pgq.subscription, pgq.consumer, pgq.retry_queue, pgq.failed_queue, pgq.retry_policy
create or replace function pgq.unregister_consumer(x_queue_name text, x_consumer_name text)
returns integer as $$
declare
    _sub record;
    _consumers integer[];
begin
    select s.sub_id, s.sub_queue, s.sub_consumer
      into _sub
      from pgq.subscription s
      join pgq.queue q on q.queue_id = s.sub_queue
      join pgq.consumer c on c.co_id = s.sub_consumer
     where q.queue_name = x_queue_name and c.co_name = x_consumer_name
       for update of s, c;
    if not found then
        return 0;
    end if;

    if pgq._is_member(_sub.sub_queue, _sub.sub_id, _sub.sub_consumer) then
        _consumers := array[_sub.sub_consumer];
    else
        delete from pgq.retry_queue r where r.ev_owner = _sub.sub_id;
        delete from pgq.failed_queue f where f.ev_owner = _sub.sub_id;
        delete from pgq.retry_policy p where p.policy_owner = _sub.sub_id;
        _consumers := array(
            select s.sub_consumer
              from pgq.subscription s
             where s.sub_queue = _sub.sub_queue and s.sub_id = _sub.sub_id
             order by s.sub_consumer
               for update);
    end if;
    delete from pgq.subscription s where s.sub_queue = _sub.sub_queue and s.sub_consumer = any (_consumers);

    -- The lock makes a registration of the name on another queue visible here, or waits for it.
    perform from pgq.consumer c where c.co_id = any (_consumers) order by c.co_id for update;
    delete from pgq.consumer c
     where c.co_id = any (_consumers)
       and not exists (select from pgq.subscription s where s.sub_consumer = c.co_id);
    return array_length(_consumers, 1);
end;
$$ language plpgsql security definer set search_path = pg_catalog, pg_temp;

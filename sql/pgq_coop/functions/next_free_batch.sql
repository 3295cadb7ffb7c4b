-- pgq_coop.next_free_batch(i_queue_name, i_consumer_name, i_subconsumer_names,
--   i_min_lag, i_min_count, i_min_interval, i_dead_interval) -> record
--
-- For workers without a name of their own, drawn from a fixed pool of names: first a batch
-- that a member of the pool left behind, then a new batch for a member that is free. A
-- member whose row another transaction has locked, or that holds a lease, is at work.
--
-- Parameters:
--   i_queue_name, i_consumer_name  the group
--   i_subconsumer_names  the names to draw from, in order of preference
--   the others           as in pgq_coop.next_batch_custom
-- Returns: subconsumer_name and batch_id; batch_id alone NULL = nothing to do now; both
--   NULL = every member is at work
-- Raises: as pgq_coop.next_batch_custom
-- Calls: pgq_coop.next_batch_custom
-- Tables written: pgq.subscription, pgq.consumer
create or replace function pgq_coop.next_free_batch(
    i_queue_name text, i_consumer_name text, i_subconsumer_names text[],
    i_min_lag interval, i_min_count int4, i_min_interval interval, i_dead_interval interval,
    out subconsumer_name text, out batch_id int8)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_member record;
begin
    select s.sub_queue, s.sub_consumer, s.sub_batch, n.name
      into v_member
      from pgq.queue q
      join pgq.subscription s on s.sub_queue = q.queue_id
      join pgq.consumer c on c.co_id = s.sub_consumer
      join unnest(i_subconsumer_names) with ordinality n (name, place)
        on c.co_name = i_consumer_name || '.' || n.name
     where q.queue_name = i_queue_name
       and s.sub_batch is not null
       and not exists (select from pgq.consumer_lease l
                        where l.lease_queue = s.sub_queue and l.lease_consumer = s.sub_consumer
                          and l.lease_until > clock_timestamp())
     order by n.place
     limit 1
       for update of s skip locked;
    if found then
        update pgq.subscription
           set sub_active = now()
         where sub_queue = v_member.sub_queue and sub_consumer = v_member.sub_consumer;
        subconsumer_name := v_member.name;
        batch_id := v_member.sub_batch;
        return;
    end if;

    -- The group's row comes before a member's, as in next_batch_custom: two workers that drew the same name would
    -- wait for each other.
    perform 1
       from pgq.queue q
       join pgq.subscription s on s.sub_queue = q.queue_id
       join pgq.consumer c on c.co_id = s.sub_consumer
      where q.queue_name = i_queue_name and c.co_name = i_consumer_name
        for update of s;
    select n.name
      into subconsumer_name
      from pgq.queue q
      join pgq.subscription s on s.sub_queue = q.queue_id
      join pgq.consumer c on c.co_id = s.sub_consumer
      join unnest(i_subconsumer_names) with ordinality n (name, place)
        on c.co_name = i_consumer_name || '.' || n.name
     where q.queue_name = i_queue_name
       and s.sub_batch is null
     order by n.place
     limit 1
       for update of s skip locked;

    -- No free member: one that is not registered yet.
    if subconsumer_name is null then
        select n.name
          into subconsumer_name
          from unnest(i_subconsumer_names) with ordinality n (name, place)
         where not exists (
                select 1
                  from pgq.queue q
                  join pgq.subscription s on s.sub_queue = q.queue_id
                  join pgq.consumer c on c.co_id = s.sub_consumer
                 where q.queue_name = i_queue_name
                   and c.co_name = i_consumer_name || '.' || n.name)
         order by n.place
         limit 1;
        if subconsumer_name is null then
            return;
        end if;
    end if;
    batch_id := pgq_coop.next_batch_custom(i_queue_name, i_consumer_name, subconsumer_name,
                                           i_min_lag, i_min_count, i_min_interval, i_dead_interval);
end;
$$;

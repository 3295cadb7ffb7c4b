-- pgq_node._consumer_tick(i_queue_name, i_consumer_name) -> int8
--
-- Last finished tick of a plain consumer (a watermark too) on a queue of this database; NULL when
-- it is not registered.
create or replace function pgq_node._consumer_tick(i_queue_name text, i_consumer_name text)
returns int8
language sql
stable
as $$
    select s.sub_last_tick
      from pgq.queue q, pgq.consumer c, pgq.subscription s
     where q.queue_name = i_queue_name
       and c.co_name = i_consumer_name
       and s.sub_queue = q.queue_id
       and s.sub_consumer = c.co_id
$$;

-- pgq_node._newest_tick(i_queue_name) -> int8
--
-- Id of the latest tick of a queue in this database; NULL when there is no such queue (leaf) or
-- no tick. Reads through the primary key of pgq.tick.
create or replace function pgq_node._newest_tick(i_queue_name text)
returns int8
language sql
stable
as $$
    select t.tick_id
      from pgq.tick t
     where t.tick_queue = (select q.queue_id from pgq.queue q where q.queue_name = i_queue_name)
     order by t.tick_queue desc, t.tick_id desc
     limit 1
$$;

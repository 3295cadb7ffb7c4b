-- pgq_node._local_watermark(i_queue_name) -> int8
--
-- Lowest tick that this node or anything below it still needs: the position of the slowest
-- consumer of the queue, the subtree's watermarks included and the global watermark left out; the
-- newest tick when nobody reads. For root and branch nodes.
create or replace function pgq_node._local_watermark(i_queue_name text)
returns int8
language sql
stable
as $$
    select coalesce(
        (select min(s.sub_last_tick)
           from pgq.queue q, pgq.subscription s, pgq.consumer c
          where q.queue_name = i_queue_name
            and s.sub_queue = q.queue_id
            and c.co_id = s.sub_consumer
            and c.co_name <> '.global_watermark'),
        pgq_node._newest_tick(i_queue_name))
$$;

-- pgq_node.get_subscriber_info(i_queue_name) -> setof (node_name, worker_name, node_watermark)
--
-- Nodes that read from this one, by name; node_watermark is the lowest tick that the subscriber's
-- subtree still needs, as it last told.
create or replace function pgq_node.get_subscriber_info(
    in i_queue_name text,
    out node_name text,
    out worker_name text,
    out node_watermark int8)
returns setof record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return query
        select s.subscriber_node, s.worker_name,
               pgq_node._consumer_tick(i_queue_name, s.watermark_name)
          from pgq_node.subscriber_info s
         where s.queue_name = i_queue_name
         order by s.subscriber_node;
end;
$$;

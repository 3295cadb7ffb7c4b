-- pgq_node.maint_watermark(i_queue_name) -> int4
--
-- Maintenance of a root: publishes the global watermark when it is five minutes old, so that no
-- worker is needed for that. Does nothing on other nodes, while somebody else holds the node, and
-- between the steps of demote_root, when the queue accepts no events.
--
-- Returns: 0
-- Calls: pgq_node.set_global_watermark
create or replace function pgq_node.maint_watermark(i_queue_name text)
returns int4
language plpgsql
as $$
declare
    v_lag interval;
begin
    perform 1
       from pgq_node.node_info n
      where n.queue_name = i_queue_name
        and n.node_type = 'root'
        and not exists (
            select 1 from pgq.queue q
             where q.queue_name = n.queue_name
               and q.queue_disable_insert)
        for no key update skip locked;
    if not found then
        return 0;
    end if;

    select c.lag into v_lag from pgq.get_consumer_info(i_queue_name, '.global_watermark') c;
    if v_lag >= interval '5 minutes' then
        perform pgq_node.set_global_watermark(i_queue_name, null);
    end if;
    return 0;
end;
$$;

-- pgq_node.drop_node(i_queue_name, i_node_name) -> (ret_code, ret_note)
--
-- Called on every member for a node that leaves. On the node itself it removes the membership,
-- the queue with its events and all known locations; elsewhere the leaving node's subscription
-- and location. Where no node is left it clears what remains of the membership; a plain queue
-- that merely has the same name stays.
--
-- Returns: 200 'Node dropped: <node>', for unknown names too
--   405 'Cannot drop provider node: <node>' (a consumer of this node reads from it)
-- Calls: pgq.drop_queue, pgq_node.unregister_subscriber, pgq_node.unregister_location
-- Tables written: all of pgq_node, and through foreign keys whatever hangs on node_info
create or replace function pgq_node.drop_node(
    in i_queue_name text,
    in i_node_name text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_node_name text;
    v_cascaded  boolean;
begin
    select n.node_name
      into v_node_name
      from pgq_node.node_info n
     where n.queue_name = i_queue_name
       for update;
    v_cascaded := found;

    if v_node_name = i_node_name or not v_cascaded then
        delete from pgq_node.subscriber_info s where s.queue_name = i_queue_name;
        delete from pgq_node.local_state s where s.queue_name = i_queue_name;
        delete from pgq_node.node_info n
         where n.queue_name = i_queue_name
           and n.node_name = i_node_name;
        -- The global watermark tells the queue of a former node from an ordinary one.
        if exists (select 1 from pgq.queue q where q.queue_name = i_queue_name)
           and (v_cascaded
                or pgq_node._consumer_tick(i_queue_name, '.global_watermark') is not null) then
            perform pgq.drop_queue(i_queue_name, true);
        end if;
        delete from pgq_node.node_location l
         where l.queue_name = i_queue_name
           and l.node_name <> i_node_name;
    elsif exists (
        select 1 from pgq_node.local_state s
         where s.queue_name = i_queue_name
           and s.provider_node = i_node_name
    ) then
        ret_code := 405;
        ret_note := format('Cannot drop provider node: %s', i_node_name);
        return;
    else
        perform pgq_node.unregister_subscriber(i_queue_name, i_node_name);
    end if;

    perform pgq_node.unregister_location(i_queue_name, i_node_name);
    ret_code := 200;
    ret_note := format('Node dropped: %s', i_node_name);
end;
$$;

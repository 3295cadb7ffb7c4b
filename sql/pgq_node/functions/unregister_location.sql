-- pgq_node.unregister_location(i_queue_name, i_node_name) -> (ret_code, ret_note)
--
-- Removes a member from the list; a subscription that it still has here ends as well. On the
-- root the removal goes out to all nodes as an event pgq.unregister-location.
--
-- Returns: 200 'Ok'
--   301 'Location not found: <queue>/<node>' (sends nothing)
--   403 'Cannot drop node''s own location'
--   403 'Cannot drop location of node''s parent' (a consumer of this node reads from it)
-- Calls: pgq_node.unregister_subscriber, pgq.insert_event
-- Tables written: pgq_node.node_location, pgq_node.subscriber_info
create or replace function pgq_node.unregister_location(
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
    v_node record;
begin
    select n.node_name, n.node_type
      into v_node
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;
    if v_node.node_name = i_node_name then
        ret_code := 403;
        ret_note := 'Cannot drop node''s own location';
        return;
    end if;
    if exists (
        select 1 from pgq_node.local_state s
         where s.queue_name = i_queue_name
           and s.provider_node = i_node_name
    ) then
        ret_code := 403;
        ret_note := 'Cannot drop location of node''s parent';
        return;
    end if;

    perform pgq_node.unregister_subscriber(i_queue_name, i_node_name);
    delete from pgq_node.node_location l
     where l.queue_name = i_queue_name
       and l.node_name = i_node_name;
    if not found then
        ret_code := 301;
        ret_note := format('Location not found: %s/%s', i_queue_name, i_node_name);
        return;
    end if;

    if v_node.node_type = 'root' then
        perform pgq.insert_event(i_queue_name, 'pgq.unregister-location', i_node_name,
                                 i_queue_name, null, null, null);
    end if;
    ret_code := 200;
    ret_note := 'Ok';
end;
$$;

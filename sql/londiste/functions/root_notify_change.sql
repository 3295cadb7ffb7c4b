-- londiste.root_notify_change(i_queue_name, i_ev_type, i_ev_data) -> int4
--
-- Tells the whole cascade of a change of the set.
--
-- Returns: 1
-- Raises: 'only root node can send events'; pgq_node.is_root_node's error for an unknown queue
-- Calls: pgq_node.is_root_node, pgq.insert_event
create or replace function londiste.root_notify_change(
    i_queue_name text, i_ev_type text, i_ev_data text)
returns integer
language plpgsql
as $$
begin
    if not pgq_node.is_root_node(i_queue_name) then
        raise exception 'only root node can send events';
    end if;
    perform pgq.insert_event(i_queue_name, i_ev_type, i_ev_data);
    return 1;
end;
$$;

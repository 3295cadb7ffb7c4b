-- pgq_node.is_leaf_node(i_queue_name) -> bool
--
-- Is this database a leaf of the queue?
--
-- Raises: 'queue does not exist: <queue>' when it is no node of it
create or replace function pgq_node.is_leaf_node(i_queue_name text)
returns bool
language plpgsql
as $$
declare
    v_type text;
begin
    select n.node_type into v_type from pgq_node.node_info n where n.queue_name = i_queue_name;
    if not found then
        raise exception 'queue does not exist: %', i_queue_name;
    end if;
    return v_type = 'leaf';
end;
$$;

-- pgq_node.get_worker_state(i_queue_name)
--   -> the ten columns of get_consumer_state for the node's worker, and
--      (worker_name, global_watermark, local_watermark, local_queue_top, combined_queue,
--       combined_type)
--
-- completed_tick is the stored position, on a root too; local_queue_top is the newest tick of
-- the node's own queue. A leaf has no queue: its local watermark is its worker's position.
--
-- Returns: the codes of get_consumer_state, and
--   404 'Combinde queue node not found: <combined queue>' (spelled so by the contract)
-- Calls: pgq_node.get_consumer_state
create or replace function pgq_node.get_worker_state(
    in i_queue_name text,
    out ret_code int4,
    out ret_note text,
    out node_type text,
    out node_name text,
    out completed_tick int8,
    out provider_node text,
    out provider_location text,
    out paused boolean,
    out uptodate boolean,
    out cur_error text,
    out worker_name text,
    out global_watermark int8,
    out local_watermark int8,
    out local_queue_top int8,
    out combined_queue text,
    out combined_type text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    select n.worker_name, n.combined_queue
      into worker_name, combined_queue
      from pgq_node.node_info n
     where n.queue_name = i_queue_name;

    select c.ret_code, c.ret_note, c.node_type, c.node_name, c.completed_tick, c.provider_node,
           c.provider_location, c.paused, c.uptodate, c.cur_error
      into ret_code, ret_note, node_type, node_name, completed_tick, provider_node,
           provider_location, paused, uptodate, cur_error
      from pgq_node.get_consumer_state(i_queue_name, worker_name) c;
    if ret_code <> 100 then
        return;
    end if;

    if combined_queue is not null then
        select n.node_type
          into combined_type
          from pgq_node.node_info n
         where n.queue_name = get_worker_state.combined_queue;
        if not found then
            ret_code := 404;
            ret_note := format('Combinde queue node not found: %s', combined_queue);
            return;
        end if;
    end if;

    if node_type in ('root', 'branch') then
        global_watermark := pgq_node._consumer_tick(i_queue_name, '.global_watermark');
        local_watermark := pgq_node._local_watermark(i_queue_name);
        local_queue_top := pgq_node._newest_tick(i_queue_name);
    else
        local_watermark := completed_tick;
    end if;
end;
$$;

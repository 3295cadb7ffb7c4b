-- pgq_node.set_global_watermark(i_queue_name, i_watermark) -> (ret_code, ret_note)
--
-- Moves '.global_watermark', the consumer that keeps on this node every event that some node of
-- the cascade may still need. On the root NULL stands for the local watermark, and the new value
-- goes out as an event pgq.global-watermark; branches set what that event tells them.
--
-- Returns: 200 'Global watermark set to <tick>'
--   200 'Skipping global watermark update to <tick>' (a branch that does not have the tick)
--   100 'Ignoring global watermark in leaf'
--   404 'Queue<queue> not found' (spelled so by the contract)
--   500 'bad usage: wm=null on branch node'
-- Raises: 'local_watermark=NULL from get_node_info()?' on a root without any tick;
--   'cannot reposition, tick not found: <tick>' on a root
-- Calls: pgq.register_consumer_at, pgq.insert_event
-- Tables written: pgq.subscription; on a root pgq_node.local_state (position of its worker)
create or replace function pgq_node.set_global_watermark(
    in i_queue_name text,
    in i_watermark int8,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_node      record;
    v_watermark int8 := i_watermark;
begin
    select n.node_type, n.worker_name
      into v_node
      from pgq_node.node_info n
     where n.queue_name = i_queue_name
       for no key update;
    if not found then
        ret_code := 404;
        ret_note := format('Queue%s not found', i_queue_name);
        return;
    end if;

    if v_node.node_type = 'root' then
        v_watermark := coalesce(v_watermark, pgq_node._local_watermark(i_queue_name));
        if v_watermark is null then
            raise exception 'local_watermark=NULL from get_node_info()?';
        end if;
        perform pgq.register_consumer_at(i_queue_name, '.global_watermark', v_watermark);
        perform pgq.insert_event(i_queue_name, 'pgq.global-watermark', v_watermark::text,
                                 i_queue_name, null, null, null);
        update pgq_node.local_state s
           set last_tick_id = v_watermark
         where s.queue_name = i_queue_name
           and s.consumer_name = v_node.worker_name;

    elsif v_node.node_type = 'branch' then
        if v_watermark is null then
            ret_code := 500;
            ret_note := 'bad usage: wm=null on branch node';
            return;
        end if;
        if not exists (
            select 1 from pgq.queue q, pgq.tick t
             where q.queue_name = i_queue_name
               and t.tick_queue = q.queue_id
               and t.tick_id = v_watermark
        ) then
            ret_code := 200;
            ret_note := format('Skipping global watermark update to %s', v_watermark);
            return;
        end if;
        perform pgq.register_consumer_at(i_queue_name, '.global_watermark', v_watermark);

    else
        ret_code := 100;
        ret_note := 'Ignoring global watermark in leaf';
        return;
    end if;

    ret_code := 200;
    ret_note := format('Global watermark set to %s', v_watermark);
end;
$$;

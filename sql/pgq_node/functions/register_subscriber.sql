-- pgq_node.register_subscriber(i_queue_name, i_remote_node_name, i_remote_worker_name,
--   i_custom_tick_id) -> (ret_code, ret_note, global_watermark)
--
-- Provider side of a subscription: the subscriber's worker becomes a consumer of the queue at
-- i_custom_tick_id (NULL: at the global watermark), and its subtree's watermark '.<node>.watermark'
-- one at the global watermark. The subscriber's location must be registered here.
--
-- May be repeated, so that an interrupted change of topology can go on: a node that is subscribed
-- with the same worker keeps its watermark, and its worker moves only to a tick that is given.
--
-- Returns: 200 'Subscriber registered: <node>' and the global watermark
--   201 'Subscriber already registered: <node>' and the global watermark
--   401 'Cannot subscribe to leaf node'
--   401 'Subscriber already registered with another worker: <node>/<worker>'
--   404 'Unknown queue: <queue>'
--   404 'cannot reposition, tick not found: <tick>'
-- Calls: pgq.register_consumer_at
-- Tables written: pgq_node.subscriber_info; pgq.consumer, pgq.subscription
create or replace function pgq_node.register_subscriber(
    in i_queue_name text,
    in i_remote_node_name text,
    in i_remote_worker_name text,
    in i_custom_tick_id int8,
    out ret_code int4,
    out ret_note text,
    out global_watermark int8)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_type      text;
    v_worker    text;
    v_watermark text := format('.%s.watermark', i_remote_node_name);
begin
    select n.node_type
      into v_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name
       for no key update;
    if not found then
        ret_code := 404;
        ret_note := format('Unknown queue: %s', i_queue_name);
        return;
    end if;
    if v_type = 'leaf' then
        ret_code := 401;
        ret_note := 'Cannot subscribe to leaf node';
        return;
    end if;

    select s.worker_name
      into v_worker
      from pgq_node.subscriber_info s
     where s.queue_name = i_queue_name
       and s.subscriber_node = i_remote_node_name;
    if v_worker <> i_remote_worker_name then
        ret_code := 401;
        ret_note := format('Subscriber already registered with another worker: %s/%s',
                           i_remote_node_name, v_worker);
        return;
    end if;

    if i_custom_tick_id is not null and not exists (
        select 1 from pgq.queue q, pgq.tick t
         where q.queue_name = i_queue_name
           and t.tick_queue = q.queue_id
           and t.tick_id = i_custom_tick_id
    ) then
        ret_code := 404;
        ret_note := format('cannot reposition, tick not found: %s', i_custom_tick_id);
        return;
    end if;

    global_watermark := pgq_node._consumer_tick(i_queue_name, '.global_watermark');
    if v_worker is not null then
        if i_custom_tick_id is not null then
            perform pgq.register_consumer_at(i_queue_name, i_remote_worker_name, i_custom_tick_id);
        end if;
        ret_code := 201;
        ret_note := format('Subscriber already registered: %s', i_remote_node_name);
        return;
    end if;

    perform pgq.register_consumer_at(i_queue_name, v_watermark, global_watermark);
    perform pgq.register_consumer_at(i_queue_name, i_remote_worker_name,
                                     coalesce(i_custom_tick_id, global_watermark));
    insert into pgq_node.subscriber_info (queue_name, subscriber_node, worker_name, watermark_name)
    values (i_queue_name, i_remote_node_name, i_remote_worker_name, v_watermark);
    ret_code := 200;
    ret_note := format('Subscriber registered: %s', i_remote_node_name);
end;
$$;

-- pgq_node.set_subscriber_watermark(i_queue_name, i_node_name, i_watermark) -> (ret_code, ret_note)
--
-- A subscriber tells its provider the lowest tick that it or anything below it still needs.
--
-- Returns: 200 '.<node>.watermark set to <tick>'
--   100 'watermark already set'
--   404 'node <node> not subscribed to queue ' (the contract ends the text so)
--   405 'watermark must not be moved backwards'
-- Raises: 'cannot reposition, tick not found: <tick>' when this node does not have the tick
-- Calls: pgq.register_consumer_at
-- Tables written: pgq.subscription
create or replace function pgq_node.set_subscriber_watermark(
    in i_queue_name text,
    in i_node_name text,
    in i_watermark int8,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_watermark text := format('.%s.watermark', i_node_name);
    v_present   int8;
begin
    -- The row lock keeps two reports from overtaking each other.
    select s.sub_last_tick
      into v_present
      from pgq.queue q
      join pgq.subscription s on s.sub_queue = q.queue_id
      join pgq.consumer c on c.co_id = s.sub_consumer
     where q.queue_name = i_queue_name
       and c.co_name = v_watermark
       for no key update of s;
    if not found then
        ret_code := 404;
        ret_note := format('node %s not subscribed to queue ', i_node_name);
        return;
    end if;
    if i_watermark < v_present then
        ret_code := 405;
        ret_note := 'watermark must not be moved backwards';
        return;
    end if;
    if i_watermark = v_present then
        ret_code := 100;
        ret_note := 'watermark already set';
        return;
    end if;

    perform pgq.register_consumer_at(i_queue_name, v_watermark, i_watermark);
    ret_code := 200;
    ret_note := format('%s set to %s', v_watermark, i_watermark);
end;
$$;

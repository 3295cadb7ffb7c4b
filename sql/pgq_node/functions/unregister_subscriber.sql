-- pgq_node.unregister_subscriber(i_queue_name, i_remote_node_name) -> (ret_code, ret_note)
--
-- Ends a subscription on its provider: worker and watermark of the node stop being consumers of
-- the queue, so that its events need not be kept for it.
--
-- Returns: 200 'Subscriber unregistered: <node>'
--   304 'Subscriber not found'
-- Calls: pgq.unregister_consumer
-- Tables written: pgq_node.subscriber_info; pgq.subscription, pgq.consumer
create or replace function pgq_node.unregister_subscriber(
    in i_queue_name text,
    in i_remote_node_name text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_subscriber record;
begin
    -- First, because its names refer to pgq.consumer.
    delete from pgq_node.subscriber_info s
     where s.queue_name = i_queue_name
       and s.subscriber_node = i_remote_node_name
    returning s.worker_name, s.watermark_name into v_subscriber;
    if not found then
        ret_code := 304;
        ret_note := 'Subscriber not found';
        return;
    end if;

    perform pgq.unregister_consumer(i_queue_name, v_subscriber.watermark_name);
    perform pgq.unregister_consumer(i_queue_name, v_subscriber.worker_name);
    ret_code := 200;
    ret_note := format('Subscriber unregistered: %s', i_remote_node_name);
end;
$$;

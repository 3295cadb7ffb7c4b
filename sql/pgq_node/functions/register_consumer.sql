-- pgq_node.register_consumer(i_queue_name, i_consumer_name, i_provider_node, i_custom_tick_id)
--   -> (ret_code, ret_note)
--
-- Target side of a cascaded consumer: remembers where it reads and from which tick on. The
-- subscription on the provider is a separate call there. A consumer that exists is moved.
--
-- Returns: 200 'Consumer <consumer> registered on queue <queue>'
--   201 'Consumer already registered: <queue>/<consumer>' (provider and position are set)
--   404 'Unknown queue: <queue>'
-- Tables written: pgq_node.local_state
create or replace function pgq_node.register_consumer(
    in i_queue_name text,
    in i_consumer_name text,
    in i_provider_node text,
    in i_custom_tick_id int8,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_new boolean;
begin
    perform 1 from pgq_node.node_info n where n.queue_name = i_queue_name;
    if not found then
        ret_code := 404;
        ret_note := format('Unknown queue: %s', i_queue_name);
        return;
    end if;

    -- xmax is zero in a row that this very statement inserted.
    insert into pgq_node.local_state as s (queue_name, consumer_name, provider_node, last_tick_id)
    values (i_queue_name, i_consumer_name, i_provider_node, i_custom_tick_id)
    on conflict on constraint local_state_pkey
    do update set provider_node = excluded.provider_node, last_tick_id = excluded.last_tick_id
    returning s.xmax = 0 into v_new;

    if v_new then
        ret_code := 200;
        ret_note := format('Consumer %s registered on queue %s', i_consumer_name, i_queue_name);
    else
        ret_code := 201;
        ret_note := format('Consumer already registered: %s/%s', i_queue_name, i_consumer_name);
    end if;
end;
$$;

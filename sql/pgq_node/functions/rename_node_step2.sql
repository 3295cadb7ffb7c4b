-- pgq_node.rename_node_step2(i_queue_name, i_node_old, i_node_new) -> (ret_code, ret_note)
--
-- Second half of a rename, called on every member while the renamed node's worker is paused, the
-- root last: whatever here belongs to the old name passes to the new one, and the old name is
-- forgotten. The root tells the cascade, which no longer uses the name by then. May be repeated.
--
-- Attributes that name nodes (sync_watermark, copy_node) are the caller's to change.
--
-- Returns: 200 'Node renamed: <old> -> <new>'
--   301 'Node is renamed already: <new>'
--   401 'Both names have subscriptions: <old>, <new>'
--   404 'Location not found: <queue>/<new>' (step 1 is missing)
-- Calls: pgq.register_consumer_at, pgq.unregister_consumer, pgq.insert_event
-- Tables written: pgq_node.node_info, pgq_node.local_state, pgq_node.subscriber_info,
--   pgq_node.node_location; pgq.consumer, pgq.subscription
create or replace function pgq_node.rename_node_step2(
    in i_queue_name text,
    in i_node_old text,
    in i_node_new text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_type text;
    v_old  text := format('.%s.watermark', i_node_old);
    v_new  text := format('.%s.watermark', i_node_new);
begin
    if i_node_old = i_node_new then
        ret_code := 301;
        ret_note := format('Node is renamed already: %s', i_node_new);
        return;
    end if;
    if not exists (
        select 1 from pgq_node.node_location l
         where l.queue_name = i_queue_name
           and l.node_name = i_node_new
    ) then
        ret_code := 404;
        ret_note := format('Location not found: %s/%s', i_queue_name, i_node_new);
        return;
    end if;
    select n.node_type
      into v_type
      from pgq_node.node_info n
     where n.queue_name = i_queue_name
       for update;

    if exists (
        select 1 from pgq_node.subscriber_info s
         where s.queue_name = i_queue_name
           and s.subscriber_node = i_node_old
    ) then
        if exists (
            select 1 from pgq_node.subscriber_info s
             where s.queue_name = i_queue_name
               and s.subscriber_node = i_node_new
        ) then
            ret_code := 401;
            ret_note := format('Both names have subscriptions: %s, %s', i_node_old, i_node_new);
            return;
        end if;
        perform pgq.register_consumer_at(i_queue_name, v_new,
                                         pgq_node._consumer_tick(i_queue_name, v_old));
        update pgq_node.subscriber_info s
           set subscriber_node = i_node_new,
               watermark_name = v_new
         where s.queue_name = i_queue_name
           and s.subscriber_node = i_node_old;
        perform pgq.unregister_consumer(i_queue_name, v_old);
    end if;
    update pgq_node.node_info n
       set node_name = i_node_new
     where n.queue_name = i_queue_name
       and n.node_name = i_node_old;
    update pgq_node.local_state s
       set provider_node = i_node_new
     where s.queue_name = i_queue_name
       and s.provider_node = i_node_old;

    delete from pgq_node.node_location l
     where l.queue_name = i_queue_name
       and l.node_name = i_node_old;
    if not found then
        ret_code := 301;
        ret_note := format('Node is renamed already: %s', i_node_new);
        return;
    end if;
    if v_type = 'root' then
        perform pgq.insert_event(i_queue_name, 'pgq.unregister-location', i_node_old,
                                 i_queue_name, null, null, null);
    end if;
    ret_code := 200;
    ret_note := format('Node renamed: %s -> %s', i_node_old, i_node_new);
end;
$$;

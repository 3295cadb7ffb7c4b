-- pgq_node.change_consumer_provider(i_queue_name, i_consumer_name, i_new_provider)
--   -> (ret_code, ret_note)
--
-- Makes a cascaded consumer read from another member. It stops being up to date until it says
-- so itself.
--
-- Returns: 200 'Consumer provider node set to : <node>'
--   404 'New node not found: <node>', 404 'Unknown consumer: <queue>/<consumer>'
-- Tables written: pgq_node.local_state
create or replace function pgq_node.change_consumer_provider(
    in i_queue_name text,
    in i_consumer_name text,
    in i_new_provider text,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform 1
       from pgq_node.node_location l
      where l.queue_name = i_queue_name
        and l.node_name = i_new_provider;
    if not found then
        ret_code := 404;
        ret_note := format('New node not found: %s', i_new_provider);
        return;
    end if;

    update pgq_node.local_state s
       set provider_node = i_new_provider,
           uptodate = false
     where s.queue_name = i_queue_name
       and s.consumer_name = i_consumer_name;
    if not found then
        ret_code := 404;
        ret_note := format('Unknown consumer: %s/%s', i_queue_name, i_consumer_name);
        return;
    end if;
    ret_code := 200;
    ret_note := format('Consumer provider node set to : %s', i_new_provider);
end;
$$;

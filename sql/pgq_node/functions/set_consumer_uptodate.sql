-- pgq_node.set_consumer_uptodate(i_queue_name, i_consumer_name, i_uptodate)
--   -> (ret_code, ret_note)
--
-- With true the consumer itself acknowledges that it has seen its present state (paused,
-- provider); admin tools wait for that.
--
-- Returns: 200 'Consumer uptodate = 1' or '= 0'
--   404 'Consumer not known: <queue>/<consumer>'
-- Tables written: pgq_node.local_state
create or replace function pgq_node.set_consumer_uptodate(
    in i_queue_name text,
    in i_consumer_name text,
    in i_uptodate boolean,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    update pgq_node.local_state s
       set uptodate = i_uptodate
     where s.queue_name = i_queue_name
       and s.consumer_name = i_consumer_name;
    if not found then
        ret_code := 404;
        ret_note := format('Consumer not known: %s/%s', i_queue_name, i_consumer_name);
        return;
    end if;
    ret_code := 200;
    ret_note := format('Consumer uptodate = %s', i_uptodate::int4);
end;
$$;

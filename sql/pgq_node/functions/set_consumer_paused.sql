-- pgq_node.set_consumer_paused(i_queue_name, i_consumer_name, i_paused) -> (ret_code, ret_note)
--
-- Asks a cascaded consumer to stop or to go on. Only a change resets uptodate.
--
-- Returns: 200 'Consumer <consumer> tagged as paused' or 'resumed'
--   201 'Consumer <consumer> already paused' or 'resumed'
--   404 'Unknown consumer: <consumer>'
-- Tables written: pgq_node.local_state
create or replace function pgq_node.set_consumer_paused(
    in i_queue_name text,
    in i_consumer_name text,
    in i_paused boolean,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_paused boolean;
    v_word   text := case when i_paused then 'paused' else 'resumed' end;
begin
    select s.paused
      into v_paused
      from pgq_node.local_state s
     where s.queue_name = i_queue_name
       and s.consumer_name = i_consumer_name
       for update;
    if not found then
        ret_code := 404;
        ret_note := format('Unknown consumer: %s', i_consumer_name);
        return;
    end if;
    if v_paused = i_paused then
        ret_code := 201;
        ret_note := format('Consumer %s already %s', i_consumer_name, v_word);
        return;
    end if;

    update pgq_node.local_state s
       set paused = i_paused,
           uptodate = false
     where s.queue_name = i_queue_name
       and s.consumer_name = i_consumer_name;
    ret_code := 200;
    ret_note := format('Consumer %s tagged as %s', i_consumer_name, v_word);
end;
$$;

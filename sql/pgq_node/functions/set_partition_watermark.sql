-- pgq_node.set_partition_watermark(i_combined_queue_name, i_part_queue_name, i_watermark)
--   -> (ret_code, ret_note)
--
-- On a branch of a combined queue: sets how far the local leaf of a partition queue may follow
-- (event pgq.tick-id), so that it stands at the right place when the branch becomes root.
--
-- Returns: 200 'Ok'
--   201 'Part-queue does not exist' (no such leaf here, or the combined node is not a branch)
--   401 'Worker registration not found'
-- Tables written: pgq_node.local_state
create or replace function pgq_node.set_partition_watermark(
    in i_combined_queue_name text,
    in i_part_queue_name text,
    in i_watermark int8,
    out ret_code int4,
    out ret_note text)
returns record
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_worker text;
begin
    select part.worker_name
      into v_worker
      from pgq_node.node_info part
      join pgq_node.node_info combined on combined.queue_name = part.combined_queue
     where part.queue_name = i_part_queue_name
       and part.combined_queue = i_combined_queue_name
       and part.node_type = 'leaf'
       and combined.node_type = 'branch';
    if not found then
        ret_code := 201;
        ret_note := 'Part-queue does not exist';
        return;
    end if;

    update pgq_node.local_state s
       set last_tick_id = i_watermark
     where s.queue_name = i_part_queue_name
       and s.consumer_name = v_worker;
    if not found then
        ret_code := 401;
        ret_note := 'Worker registration not found';
        return;
    end if;
    ret_code := 200;
    ret_note := 'Ok';
end;
$$;

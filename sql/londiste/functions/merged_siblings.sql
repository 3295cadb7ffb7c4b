-- londiste.merged_siblings(i_queue_name, i_table_name)
--   -> setof (queue_name, table_name, merge_state, worker_name, consumer_name, job_id, copied, exact)
--
-- The subscriptions that fill the same real table from other sets: those of the leaves of this
-- database that merge into the same combined queue (or into none, as this one).
--
-- Returns: consumer_name and job_id of its copy, NULL where it has none
--   copied  its rows are all here
--   exact   it is at each tick what its source was then
create or replace function londiste.merged_siblings(
    in i_queue_name text, in i_table_name text,
    out queue_name text, out table_name text, out merge_state text, out worker_name text,
    out consumer_name text, out job_id int8, out copied boolean, out exact boolean)
returns setof record
language sql
strict stable
as $$
    select t.queue_name, t.table_name, t.merge_state, n.worker_name, j.consumer_name, j.job_id,
           s.copied,
           s.copied and (t.merge_state = 'ok' or j.until_tick is null
                         or j.until_snapshot is null and p.last_tick_id >= j.until_tick)
      from londiste.table_info own
      join pgq_node.node_info o on o.queue_name = own.queue_name and o.node_type = 'leaf'
      join londiste.table_info t
        on t.queue_name <> own.queue_name
       and t.local
       and coalesce(t.dest_table, t.table_name) = coalesce(own.dest_table, own.table_name)
      join pgq_node.node_info n
        on n.queue_name = t.queue_name
       and n.node_type = 'leaf'
       and n.combined_queue is not distinct from o.combined_queue
      left join londiste.copy_job j on j.queue_name = t.queue_name and j.table_name = t.table_name
      left join pgq_node.local_state p
        on p.queue_name = j.queue_name and p.consumer_name = j.consumer_name
     cross join lateral (
          select coalesce(t.merge_state ~ '^(ok|catching-up|wanna-sync|do-sync)', false) as copied) s
     where own.queue_name = i_queue_name
       and own.table_name = i_table_name
     order by t.queue_name
$$;

-- londiste.due_work(i_copies) -> setof (queue, at, via, table_name, job)
--
-- What the nodes of this database, and those that read from it, have to do now.
--
-- Parameters:
--   i_copies  how many steps of copies may go on side by side in this database
-- Returns: table_name set: a step of that table's copy, as often as steps can go on side by side
--   job set: the same of a copy on demand
--   at set, via NULL: the subscriber at location at has a batch to replay, or has to be visited
--   both set: the node of this database, at location at, reads from the one at via and may have
--     to be asked, unless the provider's database tells of its subscribers (first kind)
--   all NULL but queue: the node of this database must be visited
create or replace function londiste.due_work(
    in i_copies integer,
    out queue text,
    out at text,
    out via text,
    out table_name text,
    out job int8)
returns setof record
language sql
stable
as $$
    select s.queue_name, l.node_location, null, null, null::int8
      from pgq_node.subscriber_info s
      join pgq_node.node_location l
        on l.queue_name = s.queue_name and l.node_name = s.subscriber_node and not l.dead
      join pgq.queue q on q.queue_name = s.queue_name
      join pgq.consumer c on c.co_name = s.worker_name
      join pgq.subscription b on b.sub_queue = q.queue_id and b.sub_consumer = c.co_id
     where b.sub_batch is not null
        or exists (select 1 from pgq.tick t
                    where t.tick_queue = b.sub_queue and t.tick_id > b.sub_last_tick)
    union all
    select n.queue_name,
           case when w.uptodate then own.node_location end,
           case when w.uptodate then p.node_location end,
           null, null
      from pgq_node.node_info n
      join pgq_node.local_state w
        on w.queue_name = n.queue_name and w.consumer_name = n.worker_name
      join pgq_node.node_location own
        on own.queue_name = n.queue_name and own.node_name = n.node_name
      left join pgq_node.node_location p
        on p.queue_name = n.queue_name and p.node_name = w.provider_node
     where n.node_type <> 'root'
    union all
    (select t.queue_name, null, null, t.table_name, t.job
      from (select t.queue_name, t.table_name, t.merge_state as state, j.job_id, null::int8 as job,
                   t.merge_state is null as unbegun, t.nr
              from londiste.table_info t
              join pgq_node.node_info n on n.queue_name = t.queue_name
              join pgq_node.local_state w
                on w.queue_name = n.queue_name and w.consumer_name = n.worker_name
              left join londiste.copy_job j
                on j.queue_name = t.queue_name and j.table_name = t.table_name
             where t.local
               and n.node_type <> 'root'
               and not w.paused
               -- 'ok' with a job: in sync, and the source has not been told
               and (t.merge_state is distinct from 'ok' or j.job_id is not null)
               and not londiste.is_held(t.queue_name, t.table_name)
            union all
            select null, null, o.state, o.job_id, o.job_id, o.state = 'waiting', o.job_id
              from londiste.copy_order o
             where o.state not in ('done', 'cancelled')) t
      cross join lateral generate_series(1, case
               when t.state = 'in-copy' then greatest(1, least(i_copies,
                   (select count(*) from londiste.copy_chunk k
                     where k.job_id = t.job_id and k.done is null)))
               when t.state in ('catching-up', 'building') then greatest(1, least(i_copies,
                   (select count(*) from londiste.copy_dropped d
                     where d.job_id = t.job_id and d.done is null)))
               else 1 end) s (nr)
     -- Each table its first step before any its second.
     order by t.unbegun, s.nr, t.nr
     limit i_copies)
    union all
    -- Tables that a fault holds back take nobody's place: whether they are mended is soon seen.
    select t.queue_name, null, null, t.table_name, null
      from londiste.table_info t
      join pgq_node.node_info n on n.queue_name = t.queue_name
      join pgq_node.local_state w
        on w.queue_name = n.queue_name and w.consumer_name = n.worker_name
     where not w.paused
       and t.merge_state = 'catching-up'
       and londiste.is_held(t.queue_name, t.table_name)
$$;

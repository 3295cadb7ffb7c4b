-- londiste._pending_fkey_ends(i_queue_name)
--   -> setof (from_table, to_table, fkey_name, fkey_def, ends)
--
-- Foreign keys that this queue may put back now. ends says how many of the two tables are
-- subscribed in this database at all.
--
-- A key is ready when every subscription of both tables, in whatever queue, is 'ok' and its copy's
-- snapshot is no longer needed. Of the queues that hold either table one is elected, so that only
-- one worker does it: the first whose combined queue is a root, else the first combined queue that
-- is a branch, else the first by name.
create or replace function londiste._pending_fkey_ends(
    in i_queue_name text,
    out from_table text,
    out to_table text,
    out fkey_name text,
    out fkey_def text,
    out ends int8)
returns setof record
language sql
strict stable
as $$
    select f.from_table, f.to_table, f.fkey_name, f.fkey_def, s.ends
      from londiste.pending_fkeys f
      cross join lateral (
          select count(distinct sub.dest) as ends,
                 bool_and(sub.ready) as ready,
                 coalesce(min(sub.queue_name) filter (where sub.combined_type = 'root'),
                          min(sub.combined_queue) filter (where sub.combined_type = 'branch'),
                          min(sub.queue_name)) as elected
            from (select t.queue_name, coalesce(t.dest_table, t.table_name) as dest,
                         n.combined_queue, c.node_type as combined_type,
                         t.merge_state is not distinct from 'ok'
                         and t.custom_snapshot is null as ready
                    from londiste.table_info t
                    join pgq_node.node_info n on n.queue_name = t.queue_name
                    left join pgq_node.node_info c on c.queue_name = n.combined_queue
                   where t.local
                     and coalesce(t.dest_table, t.table_name) in (f.from_table, f.to_table)
                 ) sub
      ) s
     where s.ready
       and s.elected = i_queue_name
       and exists (
           select 1 from londiste.table_info t
            where t.queue_name = i_queue_name
              and t.local
              and coalesce(t.dest_table, t.table_name) in (f.from_table, f.to_table))
     order by f.from_table, f.fkey_name
$$;

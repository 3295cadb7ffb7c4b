-- londiste.local_show_missing(i_queue_name) -> setof (obj_kind, obj_name)
--
-- What could be added on this node. On a root: the tables (obj_kind 'r') and sequences ('S') of
-- the database that are not in the set. Elsewhere: what the set has and this node does not
-- subscribe. A partitioned table stands for its partitions, which are not listed.
--
-- Raises: pgq_node.is_root_node's error for an unknown queue
create or replace function londiste.local_show_missing(
    in i_queue_name text,
    out obj_kind text,
    out obj_name text)
returns setof record
language plpgsql
strict stable
as $$
begin
    if pgq_node.is_root_node(i_queue_name) then
        return query
            select case c.relkind when 'S' then 'S' else 'r' end,
                   n.nspname::text || '.' || c.relname::text
              from pg_catalog.pg_class c
              join pg_catalog.pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'p', 'S')
               and not c.relispartition
               and n.nspname not in ('pgq', 'pgq_ext', 'pgq_node', 'pgq_coop', 'londiste',
                                     'walmgr', 'skytools', 'pg_catalog', 'information_schema')
               and n.nspname !~ '^pg_(toast|temp)'
               and not exists (
                   select 1 from londiste.table_info t
                    where c.relkind <> 'S'
                      and t.queue_name = i_queue_name
                      and t.local
                      and coalesce(t.dest_table, t.table_name) = n.nspname || '.' || c.relname)
               and not exists (
                   select 1 from londiste.seq_info s
                    where c.relkind = 'S'
                      and s.queue_name = i_queue_name
                      and s.local
                      and s.seq_name = n.nspname || '.' || c.relname)
             order by 1, 2;
    else
        return query
            select 'S', s.seq_name
              from londiste.seq_info s
             where s.queue_name = i_queue_name
               and not s.local
            union all
            select 'r', t.table_name
              from londiste.table_info t
             where t.queue_name = i_queue_name
               and not t.local
             order by 1, 2;
    end if;
end;
$$;

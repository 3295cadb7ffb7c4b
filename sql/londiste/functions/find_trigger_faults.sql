-- londiste.find_trigger_faults(i_queue_name) -> setof (table_name, fault)
--
-- Subscribed tables of this node whose changes would not reach the queue, or could not be
-- applied: a table that is 'ok' and listed here loses changes. A subscriber asks this of its
-- provider; restore_triggers() repairs what has to do with triggers.
--
-- Returns: fault is one of
--   table missing
--   primary key missing             (not while a copy has taken it off)
--   row trigger missing, row trigger disabled, row trigger writes another name,
--   truncate trigger missing, truncate trigger disabled
--                                   (not on a leaf, whose triggers only guard; not for tables that
--                                   were subscribed without triggers)
-- Calls: londiste.split_fqname, londiste.is_replica_func
create or replace function londiste.find_trigger_faults(
    in i_queue_name text,
    out table_name text,
    out fault text)
returns setof record
language sql
strict stable
as $$
    -- Asked of hundreds of tables at every visit of a node: joins, and no function for each of them
    -- that looks into the catalogue by itself.
    with subscribed as materialized (
        select t.table_name, t.dropped_ddl, t.merge_state, n.node_type, a.trg_args,
               coalesce(t.dest_table, t.table_name) as dest, c.oid, c.relkind,
               not exists (select 1 from unnest(a.trg_args) f (arg) where f.arg like 'tgflags=%')
               and a.trg_args is not null as all_events,
               case when a.trg_args is null
                    then coalesce(t.table_attrs, '') ~ '(^|&)handlers?=(vtable|fake_local|qsplitter)\M'
                    else 'virtual_table' = any (a.trg_args) end as virtual
          from londiste.table_info t
          join pgq_node.node_info n on n.queue_name = t.queue_name
          left join londiste.trigger_args a
            on a.queue_name = t.queue_name and a.table_name = t.table_name
         cross join lateral londiste.split_fqname(coalesce(t.dest_table, t.table_name)) d
          left join (pg_catalog.pg_class c
               join pg_catalog.pg_namespace s on s.oid = c.relnamespace)
            on s.nspname = d.schema_part and c.relname = d.name_part and c.relkind in ('r', 'p')
         where t.queue_name = i_queue_name
           and t.local
    ),
    -- A trigger of each kind; of several the one that works. Bits of tgtype: 32 truncate;
    -- 4, 8, 16 insert, delete, update, which generated triggers may share among three.
    -- Arguments lie in one bytea, each with a zero byte behind it; the first is the queue.
    has as materialized (
        select x.table_name,
               max(x.rank) filter (where x.is_row) as row_rank,
               max(x.rank) filter (where not x.is_row) as truncate_rank,
               bool_or(x.named) filter (where x.is_row) as named,
               bit_or(x.events) as events,
               coalesce(bit_or(x.events) filter (where x.rank = 2), 0) as working
          from (select s.table_name, g.tgtype & 32 = 0 as is_row,
                       (g.tgtype & 28)::int4 as events,
                       case when g.tgenabled in ('O', 'A') then 2 else 1 end as rank,
                       position(convert_to(format('ev_extra1=%L', s.table_name),
                                           getdatabaseencoding()) in g.tgargs) > 0
                       or s.dest = s.table_name and s.relkind <> 'p'
                       or exists (select 1 from unnest(s.trg_args) a (arg)
                                   where a.arg like 'ev\_extra1=%') as named
                  from subscribed s
                  join pg_catalog.pg_trigger g on g.tgrelid = s.oid
                 cross join (select convert_to(i_queue_name, getdatabaseencoding())
                                    || '\x00'::bytea as argument) q
                 where not g.tgisinternal
                   and substr(g.tgargs, 1, length(q.argument)) = q.argument
                   and londiste.is_replica_func(g.tgfoid)
               ) x
         group by x.table_name
    )
    select s.table_name, f.fault
      from subscribed s
      left join has on has.table_name = s.table_name
      cross join lateral (
          select 'primary key missing'
           where not exists (select 1 from pg_catalog.pg_index i
                              where i.indrelid = s.oid and i.indisprimary)
             and s.dropped_ddl is null
             and s.merge_state is distinct from 'in-copy'
          union all
          select v.fault
            from (values
                 ('row trigger missing', has.row_rank is null or s.all_events and has.events <> 28),
                 ('row trigger disabled', has.working <> has.events),
                 ('row trigger writes another name', has.row_rank is not null and not has.named),
                 ('truncate trigger missing', has.truncate_rank is null),
                 ('truncate trigger disabled', has.truncate_rank = 1)) v (fault, present)
           where v.present
             and s.node_type <> 'leaf'
             and not coalesce('no_triggers' = any (s.trg_args), false)
      ) f (fault)
     where s.oid is not null
       and not s.virtual
    union all
    select s.table_name, 'table missing'
      from subscribed s
     where s.oid is null
       and not s.virtual
     order by 1, 2
$$;

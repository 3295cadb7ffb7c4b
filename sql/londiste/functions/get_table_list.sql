-- londiste.get_table_list(i_queue_name)
--   -> setof (table_name, local, merge_state, custom_snapshot, table_attrs, dropped_ddl,
--             copy_role, copy_pos, dest_table)
--
-- The tables of a set in the order of their registration. A subscriber asks this of its provider.
--
-- Calls: londiste._coordinate_copy, only for tables that are being copied
create or replace function londiste.get_table_list(
    in i_queue_name text,
    out table_name text,
    out local boolean,
    out merge_state text,
    out custom_snapshot text,
    out table_attrs text,
    out dropped_ddl text,
    out copy_role text,
    out copy_pos integer,
    out dest_table text)
returns setof record
language plpgsql
strict stable
as $$
begin
    return query
        select t.table_name, t.local, t.merge_state, t.custom_snapshot, t.table_attrs,
               t.dropped_ddl, c.copy_role, coalesce(c.copy_pos, 0), t.dest_table
          from londiste.table_info t
          left join lateral (
              select r.copy_role, r.copy_pos
                from londiste._coordinate_copy(t.queue_name, t.table_name) r
               where t.merge_state in ('in-copy', 'catching-up')
          ) c on true
         where t.queue_name = i_queue_name
         order by t.nr, t.table_name;
end;
$$;

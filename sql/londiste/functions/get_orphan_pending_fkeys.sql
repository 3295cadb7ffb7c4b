-- londiste.get_orphan_pending_fkeys() -> setof londiste.pending_fkeys
--
-- Foreign keys that no worker will ever put back, because neither table is subscribed in this
-- database any more (a table was removed, a node dropped). To be restored by hand with
-- restore_table_fkey().
create or replace function londiste.get_orphan_pending_fkeys()
returns setof londiste.pending_fkeys
language sql
stable
as $$
    select f.from_table, f.to_table, f.fkey_name, f.fkey_def
      from londiste.pending_fkeys f
     where not exists (
           select 1 from londiste.table_info t
            where t.local
              and coalesce(t.dest_table, t.table_name) in (f.from_table, f.to_table))
     order by f.from_table, f.fkey_name
$$;

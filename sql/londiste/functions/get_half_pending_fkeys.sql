-- londiste.get_half_pending_fkeys(i_queue_name) -> setof londiste.pending_fkeys
--
-- Foreign keys between a table of this queue that is in sync and one that is subscribed nowhere in
-- this database. They can be put back at any time, but nothing promises that the other table has
-- the rows: restoring one may fail, which must not stop replay.
--
-- Calls: londiste._pending_fkey_ends
create or replace function londiste.get_half_pending_fkeys(i_queue_name text)
returns setof londiste.pending_fkeys
language sql
strict stable
as $$
    select f.from_table, f.to_table, f.fkey_name, f.fkey_def
      from londiste._pending_fkey_ends(i_queue_name) f
     where f.ends = 1
       and f.from_table <> f.to_table
$$;

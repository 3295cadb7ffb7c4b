-- londiste.get_valid_pending_fkeys(i_queue_name) -> setof londiste.pending_fkeys
--
-- Foreign keys that the worker of this queue shall put back now: both tables are subscribed in
-- this database and in sync, and it is this queue's turn. Keys of which only one table is
-- subscribed are listed by get_half_pending_fkeys().
--
-- Calls: londiste._pending_fkey_ends
create or replace function londiste.get_valid_pending_fkeys(i_queue_name text)
returns setof londiste.pending_fkeys
language sql
strict stable
as $$
    select f.from_table, f.to_table, f.fkey_name, f.fkey_def
      from londiste._pending_fkey_ends(i_queue_name) f
     where f.ends = case when f.from_table = f.to_table then 1 else 2 end
$$;

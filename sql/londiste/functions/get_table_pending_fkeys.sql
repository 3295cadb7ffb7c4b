-- londiste.get_table_pending_fkeys(i_table_name) -> setof londiste.pending_fkeys
--
-- Foreign keys from and to a real table that are taken off at present.
create or replace function londiste.get_table_pending_fkeys(i_table_name text)
returns setof londiste.pending_fkeys
language sql
strict stable
as $$
    select f.from_table, f.to_table, f.fkey_name, f.fkey_def
      from londiste.pending_fkeys f
     where i_table_name in (f.from_table, f.to_table)
     order by f.from_table, f.fkey_name
$$;

-- londiste.find_table_fkeys(i_table_name) -> setof londiste.pending_fkeys
--
-- Foreign keys from and to a table, each with the statement that makes it again. Every name in
-- that has its schema, so it means the same whatever the search_path of who runs it. What a
-- partition inherits from its parent is not listed: it goes and comes with the parent's.
create or replace function londiste.find_table_fkeys(i_table_name text)
returns setof londiste.pending_fkeys
language sql
strict stable
set search_path = pg_catalog, pg_temp
as $$
    select n1.nspname || '.' || t1.relname,
           n2.nspname || '.' || t2.relname,
           c.conname::text,
           format('alter table %s%s add constraint %I %s',
                  case t1.relkind when 'p' then '' else 'only ' end,
                  c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
      from pg_constraint c
      join pg_class t1 on t1.oid = c.conrelid
      join pg_namespace n1 on n1.oid = t1.relnamespace
      join pg_class t2 on t2.oid = c.confrelid
      join pg_namespace n2 on n2.oid = t2.relnamespace
     where c.contype = 'f'
       and c.conparentid = 0
       and londiste.find_table_oid(i_table_name) in (c.conrelid, c.confrelid)
     order by 1, 3
$$;

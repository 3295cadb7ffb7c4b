-- londiste.find_rel_oid(i_fqname, i_kind) -> oid
--
-- Looks up a relation by its unquoted name and pg_class.relkind; NULL when there is none.
create or replace function londiste.find_rel_oid(i_fqname text, i_kind text)
returns oid
language sql
strict stable
as $$
    select c.oid
      from londiste.split_fqname(i_fqname) n
      join pg_catalog.pg_namespace s on s.nspname = n.schema_part
      join pg_catalog.pg_class c on c.relnamespace = s.oid and c.relname = n.name_part
     where c.relkind::text = i_kind
$$;

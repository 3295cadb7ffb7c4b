-- londiste.split_fqname(i_fqname) -> (schema_part, name_part)
--
-- Cuts a name at its first dot; later dots belong to the object. Without a dot the schema is
-- public.
create or replace function londiste.split_fqname(
    in i_fqname text,
    out schema_part text,
    out name_part text)
returns record
language sql
strict immutable parallel safe
as $$
    select case when d.pos > 0 then left(i_fqname, d.pos - 1) else 'public' end,
           substr(i_fqname, d.pos + 1)
      from (select strpos(i_fqname, '.') as pos) d
$$;

-- londiste.quote_fqname(i_name) -> text
--
-- Name for use in SQL: both parts quoted as needed, schema public where none is given.
create or replace function londiste.quote_fqname(i_name text)
returns text
language sql
strict immutable parallel safe
as $$ select format('%I.%I', n.schema_part, n.name_part) from londiste.split_fqname(i_name) n $$;

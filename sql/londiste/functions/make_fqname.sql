-- londiste.make_fqname(i_name) -> text
--
-- Name with schema: one without a dot lies in public. Nothing is quoted.
create or replace function londiste.make_fqname(i_name text)
returns text
language sql
strict immutable parallel safe
as $$ select case when strpos(i_name, '.') > 0 then i_name else 'public.' || i_name end $$;

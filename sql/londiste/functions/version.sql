-- londiste.version() -> text
--
-- Version of the contract that this schema keeps. A constant, because nothing is registered in
-- pg_extension.
create or replace function londiste.version()
returns text
language sql
immutable
as $$ select '3.8'::text $$;

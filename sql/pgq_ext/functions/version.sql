-- pgq_ext.version() -> text
--
-- Version of the contract that this schema keeps.
create or replace function pgq_ext.version()
returns text
language sql
immutable
as $$ select '3.1'::text $$;

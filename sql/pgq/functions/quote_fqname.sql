-- pgq.quote_fqname(i_name)
--
-- Quotes a possibly qualified name: what stands before the first dot is the schema; without a dot it is public.
-- Returns: name ready for SQL
create or replace function pgq.quote_fqname(i_name text)
returns text as $$
declare
    _dot integer := pg_catalog.strpos(i_name, '.');
begin
    if _dot = 0 then
        return 'public.' || pg_catalog.quote_ident(i_name);
    end if;
    return pg_catalog.quote_ident(pg_catalog.substr(i_name, 1, _dot - 1)) || '.'
        || pg_catalog.quote_ident(pg_catalog.substr(i_name, _dot + 1));
end;
$$ language plpgsql strict immutable;

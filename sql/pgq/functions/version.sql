-- pgq.version()
--
-- Version of the PgQ interface. A constant: ticker daemons refuse a database whose version does not start with 3 or a
-- higher digit, and there is no extension to ask.
create or replace function pgq.version()
returns text as $$
begin
    return '3.5.2';
end;
$$ language plpgsql;

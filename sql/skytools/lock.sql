-- Two installs of one database at the same time: the second waits here until the first has committed, and then
-- finds everything in place. The lock ends with the transaction that runs the install.
do $$
begin
    perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('skytools.install', 0));
end;
$$;

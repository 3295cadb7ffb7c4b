-- The owner administers; members of pgq_reader may look. Nothing is granted to public.
do $$
begin
    revoke all on schema walmgr from public;
    revoke execute on all functions in schema walmgr from public;
    if exists (select 1 from pg_catalog.pg_roles where rolname = 'pgq_reader') then
        grant usage on schema walmgr to pgq_reader;
        grant select on walmgr.cluster, walmgr.segment, walmgr.gap, walmgr.backup, walmgr.job to pgq_reader;
        grant execute on function walmgr.get_cluster_info() to pgq_reader;
    end if;
end;
$$;

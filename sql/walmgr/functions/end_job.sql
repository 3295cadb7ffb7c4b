-- walmgr.end_job(i_cluster_name, i_kind, i_fence, i_error, i_durable, i_server)
--
-- Gives a lease back with what came of it.
-- i_error: null after success
-- i_durable, i_server: how far the archive and the server are, null if that was not looked at
-- Returns: 1, or 0 if the lease had been taken over
-- Writes: walmgr.job
create or replace function walmgr.end_job(
    i_cluster_name text, i_kind text, i_fence bigint, i_error text, i_durable pg_lsn, i_server pg_lsn)
returns integer as $$
begin
    update walmgr.job j
       set leased_until = null,
           finished_at = case when i_error is null then pg_catalog.clock_timestamp() else j.finished_at end,
           failures = case when i_error is null then 0 else j.failures + 1 end,
           last_error = i_error,
           durable_lsn = coalesce(i_durable, j.durable_lsn),
           server_lsn = coalesce(i_server, j.server_lsn)
     where j.cluster_name = i_cluster_name and j.job_kind = i_kind and j.fence = i_fence;
    if found then
        return 1;
    end if;
    return 0;
end;
$$ language plpgsql;

-- walmgr.begin_job(i_cluster_name, i_kind, i_lease_seconds)
--
-- Takes a job's lease, by PostgreSQL's clock.
-- Returns: the fence number to end it with; null while somebody else holds it
-- Writes: walmgr.job
create or replace function walmgr.begin_job(i_cluster_name text, i_kind text, i_lease_seconds double precision)
returns bigint as $$
declare
    _fence bigint;
begin
    insert into walmgr.job as j (cluster_name, job_kind, fence, leased_until, started_at)
    values (i_cluster_name, i_kind, 1,
            pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => i_lease_seconds), pg_catalog.clock_timestamp())
    on conflict (cluster_name, job_kind) do update
       set fence = j.fence + 1,
           leased_until = excluded.leased_until,
           started_at = excluded.started_at
     where j.leased_until is null or j.leased_until < pg_catalog.clock_timestamp()
    returning j.fence into _fence;
    return _fence;
end;
$$ language plpgsql;

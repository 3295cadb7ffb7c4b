-- walmgr.renew_job(i_cluster_name, i_kind, i_fence, i_lease_seconds)
--
-- Extends a job's lease, by PostgreSQL's clock.
-- Returns: false if the lease was given back or has passed to another, who is at work by now
-- Writes: walmgr.job
create or replace function walmgr.renew_job(
    i_cluster_name text, i_kind text, i_fence bigint, i_lease_seconds double precision)
returns boolean as $$
begin
    update walmgr.job j
       set leased_until = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => i_lease_seconds)
     where j.cluster_name = i_cluster_name and j.job_kind = i_kind and j.fence = i_fence
       and j.leased_until is not null;
    return found;
end;
$$ language plpgsql;

-- walmgr.is_job_due(i_cluster_name, i_kind, i_every_seconds)
--
-- Tells whether a job should be begun now: nobody is at it, and it was finished longer ago than it may be. A job that
-- fails again and again is begun less often, up to once in ten minutes.
-- Returns: true or false
-- Reads: walmgr.job
create or replace function walmgr.is_job_due(i_cluster_name text, i_kind text, i_every_seconds double precision)
returns boolean as $$
    select not exists (
        select 1
          from walmgr.job j
         where j.cluster_name = i_cluster_name
           and j.job_kind = i_kind
           and (j.leased_until >= pg_catalog.clock_timestamp()
                or (j.failures = 0
                    and j.finished_at + pg_catalog.make_interval(secs => i_every_seconds) > pg_catalog.clock_timestamp())
                or (j.failures > 0
                    and j.started_at + pg_catalog.make_interval(secs => least(600, 15 * 2 ^ least(j.failures, 8)))
                        > pg_catalog.clock_timestamp())));
$$ language sql stable;

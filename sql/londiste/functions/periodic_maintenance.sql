-- londiste.periodic_maintenance() -> int4
--
-- Forgets scripts that EXECUTE ran, and copies on demand that ended, more than three months ago; from
-- then on their names are new ones. A cancelled copy whose table lacks something is kept. Listed by
-- pgq.maint_operations.
--
-- Returns: 0
-- Tables written: londiste.applied_execute, londiste.copy_job and what hangs on it
create or replace function londiste.periodic_maintenance()
returns integer
language plpgsql
as $$
begin
    delete from londiste.applied_execute e
     where e.execute_time < now() - interval '3 months';
    delete from londiste.copy_job j
     using londiste.copy_order o
     where o.job_id = j.job_id
       and o.state in ('done', 'cancelled')
       and o.finished < now() - interval '3 months'
       and not exists (select from londiste.copy_dropped d
                        where d.job_id = j.job_id and d.done is null);
    return 0;
end;
$$;

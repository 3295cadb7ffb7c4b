-- londiste.periodic_maintenance() -> int4
--
-- Forgets scripts that EXECUTE ran more than three months ago. Listed by pgq.maint_operations.
--
-- Returns: 0
-- Tables written: londiste.applied_execute
create or replace function londiste.periodic_maintenance()
returns integer
language plpgsql
as $$
begin
    delete from londiste.applied_execute e
     where e.execute_time < now() - interval '3 months';
    return 0;
end;
$$;

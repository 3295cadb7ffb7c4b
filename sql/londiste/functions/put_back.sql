-- londiste.put_back(i_job_id, i_nr, i_limit) -> text
--
-- Makes again one thing that a copy has taken off. One statement in one transaction: it goes on in
-- the server when the client that called it is gone, and may take as long as an index takes.
--
-- Parameters:
--   i_limit  copies at work side by side in this database; the places are those of the chunks
--            (lib/londiste/copy/slots.ts)
-- Returns: done; busy: another session is at it, or every place is taken; gone: it is there already
-- Calls: londiste._note_dropped_ddl
-- Tables written: londiste.copy_dropped, londiste.table_info
create or replace function londiste.put_back(i_job_id int8, i_nr int4, i_limit int4)
returns text
language plpgsql
as $$
declare
    v_definition text;
begin
    begin
        select d.definition
          into v_definition
          from londiste.copy_dropped d
         where d.job_id = i_job_id
           and d.nr = i_nr
           and d.done is null
           for update nowait;
    exception when lock_not_available then
        return 'busy';
    end;
    if v_definition is null then
        return 'gone';
    end if;
    perform from generate_series(1, i_limit) n where pg_try_advisory_xact_lock(x'4c4f4e44'::int4, n) limit 1;
    if not found then
        return 'busy';
    end if;
    execute v_definition;
    update londiste.copy_dropped d
       set done = clock_timestamp(),
           problem = null
     where d.job_id = i_job_id
       and d.nr = i_nr;
    perform londiste._note_dropped_ddl(i_job_id);
    return 'done';
end;
$$;

-- londiste._note_dropped_ddl(i_job_id) -> void
--
-- Keeps table_info.dropped_ddl the script that makes again what is still off, as the original
-- understands it. The row is locked before the list is read: several things may come back at once.
--
-- Tables written: londiste.table_info
create or replace function londiste._note_dropped_ddl(i_job_id int8)
returns void
language plpgsql
as $$
declare
    v_job  record;
begin
    select t.queue_name, t.table_name
      into v_job
      from londiste.copy_job j
      join londiste.table_info t on t.queue_name = j.queue_name and t.table_name = j.table_name
     where j.job_id = i_job_id
       for update of t;
    if found then
        update londiste.table_info t
           set dropped_ddl = (select string_agg(d.definition, E';\n' order by d.nr)
                                from londiste.copy_dropped d
                               where d.job_id = i_job_id
                                 and d.done is null)
         where t.queue_name = v_job.queue_name
           and t.table_name = v_job.table_name;
    end if;
end;
$$;

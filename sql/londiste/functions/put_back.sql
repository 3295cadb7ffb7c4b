-- londiste.put_back(i_job_id, i_nr, i_limit) -> text
--
-- Makes again one thing that a copy has taken off. One statement in one transaction: it goes on in
-- the server when the client that called it is gone, and may take as long as an index takes.
--
-- Who calls may know the copy as it was before it began again. So the copy is looked at here, with
-- the thing locked: a plan that is made meanwhile finds it locked (take_off_structure), one that is
-- made before is seen. While chunks are written nothing comes back; what has to be unique, and
-- triggers, only where the table is exact. Of a table that several sets fill all of them have to be
-- so far.
--
-- Parameters:
--   i_limit  copies at work side by side in this database; the places are those of the chunks
--            (lib/londiste/copy/slots.ts). NULL: it takes none, for what is done at once
-- Returns: done; gone: it is there already; busy: another session is at it, every place is taken,
--   or the copy is not so far; early: copies from other sets are not
-- Calls: londiste._note_dropped_ddl, merged_siblings
-- Tables written: londiste.copy_dropped, londiste.table_info
create or replace function londiste.put_back(i_job_id int8, i_nr int4, i_limit int4)
returns text
language plpgsql
as $$
declare
    v_dropped record;
begin
    begin
        select d.definition, d.kind
          into v_dropped
          from londiste.copy_dropped d
         where d.job_id = i_job_id
           and d.nr = i_nr
           and d.done is null
           for update nowait;
    exception when lock_not_available then
        return 'busy';
    end;
    if v_dropped.definition is null then
        return 'gone';
    end if;
    perform from londiste.copy_job j
       left join londiste.copy_order o on o.job_id = j.job_id
       left join londiste.table_info t
         on t.queue_name = j.queue_name and t.table_name = j.table_name
       left join pgq_node.local_state p
         on p.queue_name = j.queue_name and p.consumer_name = j.consumer_name
      where j.job_id = i_job_id
        and case when j.queue_name is null then o.state in ('building', 'cancelled')
                 else t.merge_state ~ '^(catching-up|wanna-sync|do-sync)'
                      and (v_dropped.kind = 'index'
                           or j.until_snapshot is null and p.last_tick_id >= j.until_tick) end;
    if not found then
        return 'busy';
    end if;
    perform from londiste.copy_job j
      cross join londiste.merged_siblings(j.queue_name, j.table_name) s
      where j.job_id = i_job_id
        and not case v_dropped.kind when 'index' then s.copied else s.exact end;
    if found then
        return 'early';
    end if;
    if i_limit is not null then
        perform from generate_series(1, i_limit) n
          where pg_try_advisory_xact_lock(x'4c4f4e44'::int4, n) limit 1;
        if not found then
            return 'busy';
        end if;
    end if;
    execute v_dropped.definition;
    update londiste.copy_dropped d
       set done = clock_timestamp(),
           problem = null
     where d.job_id = i_job_id
       and d.nr = i_nr;
    perform londiste._note_dropped_ddl(i_job_id);
    return 'done';
end;
$$;

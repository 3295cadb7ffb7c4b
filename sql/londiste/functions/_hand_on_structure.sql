-- londiste._hand_on_structure(i_from, i_to) -> void
--
-- Gives what copies have taken off their table, and not put back, to another copy of the same
-- table: one that fills it from another set.
--
-- Calls: londiste._note_dropped_ddl
-- Tables written: londiste.copy_dropped, londiste.table_info
create or replace function londiste._hand_on_structure(i_from int8[], i_to int8)
returns void
language plpgsql
as $$
begin
    with off as (
        delete from londiste.copy_dropped d
         where d.job_id = any (i_from)
           and d.done is null
        returning d.job_id, d.nr, d.name, d.kind, d.definition
    )
    insert into londiste.copy_dropped (job_id, nr, name, kind, definition)
    select i_to,
           (select coalesce(max(d.nr), 0) from londiste.copy_dropped d where d.job_id = i_to)
               + row_number() over (order by o.job_id, o.nr),
           o.name, o.kind, o.definition
      from off o;
    perform londiste._note_dropped_ddl(j) from unnest(i_from || i_to) j;
end;
$$;

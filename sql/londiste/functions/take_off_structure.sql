-- londiste.take_off_structure(i_job_id, i_fkeys, i_unique_only) -> int
--
-- Takes off the table of a copy what chunks read at different moments could break, or what is
-- faster made once than kept up row by row: indexes but the primary key, unique and exclusion
-- constraints, and, where session_replication_role cannot silence them, the users' triggers. The
-- statements that make each again are in londiste.copy_dropped before it goes; what an earlier
-- copy of the table left off is taken over. A partitioned table keeps its indexes: those of its
-- partitions could not be put back one by one.
--
-- Parameters:
--   i_job_id  of londiste.copy_job
--   i_fkeys   also foreign keys from and to the table (a subscription has them in pending_fkeys)
--   i_unique_only  leaves indexes that are not unique: the table is in use, and full of other rows
-- Returns: how many things are off
-- Raises: 55P03 where something is just being put back
-- Calls: londiste.quote_fqname, can_set_replication_role, is_replica_func, _note_dropped_ddl
-- Tables written: londiste.copy_dropped, londiste.table_info
create or replace function londiste.take_off_structure(
    i_job_id int8, i_fkeys boolean, i_unique_only boolean)
returns int4
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    v_job    record;
    v_table  regclass;
    v_found  record;
    v_nr     int4;
begin
    select j.queue_name, j.table_name, j.dest_table, t.dropped_ddl
      into v_job
      from londiste.copy_job j
      left join londiste.table_info t
        on t.queue_name = j.queue_name and t.table_name = j.table_name
     where j.job_id = i_job_id;
    v_table := to_regclass(londiste.quote_fqname(v_job.dest_table));
    -- What an earlier plan of the copy is putting back is not off yet, and would be on under this one.
    perform from londiste.copy_dropped d
      where d.job_id = i_job_id
        and d.done is null
        for update nowait;
    select coalesce(max(d.nr), 0) into v_nr from londiste.copy_dropped d where d.job_id = i_job_id;
    if v_nr = 0 and v_job.dropped_ddl is not null then
        -- As the original leaves it.
        v_nr := 1;
        insert into londiste.copy_dropped (job_id, nr, name, kind, definition)
             values (i_job_id, v_nr, v_job.dest_table, 'unique', v_job.dropped_ddl);
    end if;

    for v_found in
        -- A foreign key may hold on to a unique constraint: it goes first, and comes back last.
        select k.conname::text as name, 'foreign key' as kind,
               format('alter table %s drop constraint %I', k.conrelid::regclass, k.conname) as take,
               format('alter table %s add constraint %I %s', k.conrelid::regclass, k.conname,
                      pg_get_constraintdef(k.oid)) as give,
               0 as place
          from pg_constraint k
         where i_fkeys
           and k.contype = 'f'
           and k.conparentid = 0
           and v_table in (k.conrelid, k.confrelid)
        union all
        select c.relname::text, case when i.indisunique or i.indisexclusion then 'unique' else 'index' end,
               case when k.oid is null then format('drop index %s', i.indexrelid::regclass)
                    else format('alter table only %s drop constraint %I', v_table, k.conname) end,
               concat_ws('; ',
                   format('set local default_tablespace = %L', coalesce(s.spcname, '')),
                   case when k.oid is null or not i.indisexclusion then pg_get_indexdef(i.indexrelid) end,
                   case when k.oid is null then null
                        when i.indisexclusion
                        then format('alter table only %s add constraint %I %s', v_table, k.conname,
                                    pg_get_constraintdef(k.oid))
                        else format('alter table only %s add constraint %I unique using index %I%s%s',
                                    v_table, k.conname, c.relname,
                                    case when k.condeferrable then ' deferrable' else '' end,
                                    case when k.condeferred then ' initially deferred' else '' end)
                   end,
                   'comment on index ' || i.indexrelid::regclass || ' is '
                       || quote_literal(obj_description(i.indexrelid, 'pg_class')),
                   case when i.indisclustered
                        then format('alter table only %s cluster on %I', v_table, c.relname) end,
                   case when i.indisreplident
                        then format('alter table only %s replica identity using index %I', v_table,
                                    c.relname) end),
               1
          from pg_index i
          join pg_class c on c.oid = i.indexrelid
          join pg_class r on r.oid = i.indrelid and r.relkind = 'r'
          left join pg_tablespace s on s.oid = c.reltablespace
          left join pg_constraint k
            on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('u', 'x')
         where i.indrelid = v_table
           and not i.indisprimary
           and (not i_unique_only or i.indisunique or i.indisexclusion)
           and i.indisvalid
           and not c.relispartition
        union all
        select t.tgname::text, 'trigger',
               format('alter table %s disable trigger %I', v_table, t.tgname),
               format('alter table %s enable %s trigger %I', v_table,
                      case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end,
                      t.tgname),
               2
          from pg_trigger t
         where t.tgrelid = v_table
           and not t.tgisinternal
           and t.tgenabled <> 'D'
           and not londiste.is_replica_func(t.tgfoid)
           and not londiste.can_set_replication_role()
         order by 5, 1
    loop
        v_nr := v_nr + 1;
        insert into londiste.copy_dropped (job_id, nr, name, kind, definition)
             values (i_job_id, v_nr, v_found.name, v_found.kind, v_found.give);
        execute v_found.take;
    end loop;
    perform londiste._note_dropped_ddl(i_job_id);
    return (select count(*) from londiste.copy_dropped d where d.job_id = i_job_id and d.done is null);
end;
$$;

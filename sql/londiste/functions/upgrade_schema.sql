-- londiste.upgrade_schema() -> int4
--
-- Brings tables made by an older release to the present shape, and creates the roles
-- londiste_writer (in pgq_admin) and londiste_reader (in pgq_reader). Runs at every install.
--
-- Returns: number of changes; 0 when nothing was missing
-- Tables changed: londiste.table_info, seq_info, applied_execute
create or replace function londiste.upgrade_schema()
returns integer
language plpgsql
as $$
declare
    v_changes integer := 0;
    v_missing record;
    v_def     text;
begin
    for v_missing in
        select m.tbl, m.col
          from (values ('table_info', 'dest_table'), ('applied_execute', 'execute_attrs')) m (tbl, col)
         where not exists (
            select 1 from pg_catalog.pg_attribute a
             where a.attrelid = format('londiste.%I', m.tbl)::regclass
               and a.attname = m.col and not a.attisdropped)
    loop
        execute format('alter table londiste.%I add column %I text', v_missing.tbl, v_missing.col);
        v_changes := v_changes + 1;
    end loop;

    -- Once the merge state had a check of its own kind.
    select pg_get_constraintdef(c.oid) into v_def
      from pg_catalog.pg_constraint c
     where c.conrelid = 'londiste.table_info'::regclass and c.conname = 'table_info_check';
    if v_def is null or strpos(v_def, 'catching-up') = 0 then
        alter table londiste.table_info drop constraint if exists table_info_check;
        alter table londiste.table_info add constraint table_info_check check (
            dropped_ddl is null or merge_state in ('in-copy', 'catching-up'));
        v_changes := v_changes + 1;
    end if;

    -- The trigger must run before the row is gone.
    if exists (
        select 1 from pg_catalog.pg_trigger t
         where t.tgrelid = 'londiste.table_info'::regclass
           and t.tgname = 'table_info_trigger_sync'
           and t.tgtype & 2 = 0
    ) then
        drop trigger table_info_trigger_sync on londiste.table_info;
        create trigger table_info_trigger_sync
            before delete on londiste.table_info
            for each row execute procedure londiste.table_info_trigger();
        v_changes := v_changes + 1;
    end if;

    -- Once the key of a script had its set in it.
    if (select c.conkey <> array[a.attnum]
          from pg_catalog.pg_constraint c, pg_catalog.pg_attribute a
         where c.conrelid = 'londiste.applied_execute'::regclass and c.contype = 'p'
           and a.attrelid = c.conrelid and a.attname = 'execute_file') then
        alter table londiste.applied_execute drop constraint applied_execute_pkey;
        alter table londiste.applied_execute add constraint applied_execute_pkey
            primary key (execute_file);
        v_changes := v_changes + 1;
    end if;

    -- A dropped node takes its rows along.
    for v_missing in
        select c.conrelid::regclass::text as tbl, c.conname::text as con
          from pg_catalog.pg_constraint c
         where c.conrelid in ('londiste.table_info'::regclass, 'londiste.seq_info'::regclass)
           and c.contype = 'f'
           and c.confrelid = 'pgq_node.node_info'::regclass
           and c.confdeltype <> 'c'
    loop
        execute format('alter table %s drop constraint %I, add constraint %I'
                       ' foreign key (queue_name) references pgq_node.node_info (queue_name)'
                       ' on delete cascade', v_missing.tbl, v_missing.con, v_missing.con);
        v_changes := v_changes + 1;
    end loop;

    for v_missing in
        select m.role, m.parent
          from (values ('londiste_writer', 'pgq_admin'), ('londiste_reader', 'pgq_reader')) m (role, parent)
         where to_regrole(m.role) is null
    loop
        begin
            execute format('create role %I', v_missing.role);
            v_changes := v_changes + 1;
        exception
            when insufficient_privilege then
                raise notice 'role % is missing and % may not create roles: its grants are left out',
                    v_missing.role, current_user
                    using hint = 'Let a role with CREATEROLE create it, then run the install again.';
                continue;
            when duplicate_object or unique_violation then
                continue; -- another session was faster
        end;
        begin
            execute format('grant %I to %I', v_missing.parent, v_missing.role);
        exception when insufficient_privilege or undefined_object then
            raise notice 'role % could not be made a member of %', v_missing.role, v_missing.parent
                using hint = format('Let a superuser run: grant %I to %I',
                                    v_missing.parent, v_missing.role);
        end;
    end loop;
    return v_changes;
end;
$$;

do $$ begin perform londiste.upgrade_schema(); end; $$;

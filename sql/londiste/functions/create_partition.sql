-- londiste.create_partition(i_table, i_part, i_pkeys, i_part_field, i_part_time, i_part_period)
--   -> int4
--
-- Makes one partition of a table, for the handlers that split a table by time. An ordinary table
-- gets a child with its columns, indexes, constraints, rights, triggers and rules; a natively
-- partitioned one gets a partition.
--
-- Parameters:
--   i_table, i_part  names of parent and partition, unquoted
--   i_pkeys          not needed: the keys are copied
--   i_part_field     time column, for a check that holds the partition to its period; NULL or
--                    empty: no check (needed for a natively partitioned table)
--   i_part_time      a time within the period
--   i_part_period    hour, day, month or year, cut in the time zone of the session
-- Returns: 1 created, 0 exists
-- Raises: 'need table and part'
-- Tables locked: londiste.table_info, against parallel calls
create or replace function londiste.create_partition(
    i_table text,
    i_part text,
    i_pkeys text,
    i_part_field text,
    i_part_time timestamptz,
    i_part_period text)
returns integer
language plpgsql
as $$
declare
    v_name   text := londiste.make_fqname(i_part);
    v_part   text := londiste.quote_fqname(v_name);
    v_table  regclass;
    v_shown  text;
    v_parent record;
    v_from   timestamptz;
    v_to     timestamptz;
    v_object record;
    v_sql    text;
begin
    if i_table is null or i_part is null then
        raise exception 'need table and part';
    end if;
    if londiste.find_table_oid(v_name) is not null then
        return 0;
    end if;
    lock table londiste.table_info in share update exclusive mode;
    if londiste.find_table_oid(v_name) is not null then
        return 0;
    end if;

    v_table := londiste.quote_fqname(i_table)::regclass;
    v_shown := londiste.quote_fqname(londiste.make_fqname(i_table));
    select c.relkind, c.relacl, c.relowner, pg_catalog.pg_get_userbyid(c.relowner) as owner
      into v_parent
      from pg_catalog.pg_class c
     where c.oid = v_table;
    if i_part_field <> '' then
        v_from := date_trunc(i_part_period, i_part_time);
        v_to := v_from + ('1 ' || i_part_period)::interval;
    end if;

    if v_parent.relkind = 'p' then
        execute format('create table %s partition of %s for values from (%L) to (%L)',
                       v_part, v_table, v_from, v_to);
    else
        execute format('create table %s (like %s including all) inherits (%s)',
                       v_part, v_table, v_table);
        if v_from is not null then
            execute format('alter table %s add check (%I >= %L and %I < %L)',
                           v_part, i_part_field, v_from, i_part_field, v_to);
        end if;
    end if;
    if v_parent.owner <> current_user then
        execute format('alter table %s owner to %I', v_part, v_parent.owner);
    end if;
    for v_object in
        select a.privilege_type, a.is_grantable,
               case a.grantee when 0 then 'public'
                              else quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as grantee
          from aclexplode(v_parent.relacl) a
         where a.grantee <> v_parent.relowner
    loop
        execute format('grant %s on %s to %s%s', v_object.privilege_type, v_part, v_object.grantee,
                       case when v_object.is_grantable then ' with grant option' else '' end);
    end loop;
    if v_parent.relkind = 'p' then
        return 1;
    end if;

    -- In both definitions the table's name is the first of its kind behind the object's own name.
    for v_object in
        select t.tgname as name, pg_catalog.pg_get_triggerdef(t.oid) as def, t.tgenabled as enabled
          from pg_catalog.pg_trigger t
         where t.tgrelid = v_table
           and not t.tgisinternal
         order by t.tgname
    loop
        v_sql := londiste._rename_in_definition(v_object.def, v_object.name, ' ON ', v_shown, v_part);
        execute v_sql;
        if v_object.enabled <> 'O' then
            execute format('alter table %s %s trigger %I', v_part,
                           case v_object.enabled when 'D' then 'disable'
                                                 when 'R' then 'enable replica'
                                                 else 'enable always' end,
                           v_object.name);
        end if;
    end loop;
    for v_object in
        select r.rulename as name, pg_catalog.pg_get_ruledef(r.oid) as def
          from pg_catalog.pg_rewrite r
         where r.ev_class = v_table
         order by r.rulename
    loop
        v_sql := londiste._rename_in_definition(v_object.def, v_object.name, ' TO ', v_shown, v_part);
        execute v_sql;
    end loop;
    return 1;
end;
$$;
